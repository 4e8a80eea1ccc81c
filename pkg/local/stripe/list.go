package stripe

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Bounds of Stripe's list.
const (
	defaultLimit = 10
	maxLimit     = 100
	maxTypes     = 20
)

// query is what a list request asks for.
type query struct {
	account       string
	limit         int
	startingAfter string
	endingBefore  string
	from, to      int64    // created, both inclusive
	types         []string // exact, or with "*" for any text; empty for all
}

func (s *Fake) list(r *http.Request) ([]byte, *apiError) {
	q, err := parseQuery(r.URL.Query())
	if err != nil {
		return nil, err
	}
	q.account = account(r)
	page, more, err := s.page(q)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	b.WriteString("{\n  \"object\": \"list\",\n  \"data\": [\n")
	for i, e := range page {
		if i > 0 {
			b.WriteString(",\n")
		}
		b.Write(s.listed(e))
	}
	b.WriteString("\n  ],\n  \"has_more\": " + strconv.FormatBool(more) + ",\n  \"url\": \"/v1/events\"\n}")
	return b.Bytes(), nil
}

// listed is an event as the list shows it: broken, if a fault asks for it.
func (s *Fake) listed(e *event) []byte {
	body := e.render("")
	if !s.faults.isBroken(e.ID) {
		return body
	}
	return splice(body, "created", func(n json.RawMessage) json.RawMessage { return quoted(string(n)) })
}

// page returns up to limit events, newest first, and whether there are more in the direction
// of the request: older ones, or newer ones with ending_before.
func (s *Fake) page(q query) (page []*event, more bool, refused *apiError) {
	now := s.now()
	err := s.store.view(func(x *tx) (err error) {
		from, walk := []byte(nil), x.backward
		if q.to < 1<<63-1 {
			from = timeKey(q.to+1, 0)
		}
		for param, id := range map[string]string{"starting_after": q.startingAfter, "ending_before": q.endingBefore} {
			if id == "" {
				continue
			}
			if from, refused, err = x.cursor(q, param, id); refused != nil || err != nil {
				return err
			}
		}
		if q.endingBefore != "" {
			walk = x.forward
		}
		err = walk(from, func(e *event) bool {
			switch {
			case e.Created < q.from && q.endingBefore == "", e.Created > q.to && q.endingBefore != "":
				return false
			case now.UnixNano() < e.Visible || !q.matches(e):
				return true
			case len(page) == q.limit:
				more = true
				return false
			}
			page = append(page, e)
			return true
		})
		for i := 0; i < len(page) && err == nil; i++ {
			page[i], err = x.numbered(page[i].arrived)
		}
		return err
	})
	if err != nil {
		return nil, false, broken(err)
	}
	if q.endingBefore != "" {
		slices.Reverse(page)
	}
	return page, more, refused
}

// cursor returns the key of the event at which a request's page begins.
func (x *tx) cursor(q query, param, id string) ([]byte, *apiError, error) {
	e, err := x.event(id)
	if err != nil {
		return nil, nil, err
	}
	if e == nil || e.Thin || e.Account != q.account {
		return nil, invalid(http.StatusBadRequest, "resource_missing", param, "No such event: '%.255s'", id), nil
	}
	return timeKey(e.Created, e.arrived), nil, nil
}

// cut takes the page that a request asks for out of all elements. what is the word for one.
func cut[T any](all []T, q query, what string, id func(T) string) (page []T, more bool, err *apiError) {
	at := func(param, wanted string) (int, *apiError) {
		i := slices.IndexFunc(all, func(each T) bool { return id(each) == wanted })
		if i < 0 {
			return 0, invalid(http.StatusBadRequest, "resource_missing", param, "No such %s: '%.255s'", what, wanted)
		}
		return i, nil
	}
	if q.endingBefore != "" {
		i, err := at("ending_before", q.endingBefore)
		if err != nil {
			return nil, false, err
		}
		from := max(0, i-q.limit)
		return all[from:i], from > 0, nil
	}
	from := 0
	if q.startingAfter != "" {
		i, err := at("starting_after", q.startingAfter)
		if err != nil {
			return nil, false, err
		}
		from = i + 1
	}
	to := min(from+q.limit, len(all))
	return all[from:to], to < len(all), nil
}

// listOf is a page in Stripe's form.
func listOf(data []json.RawMessage, more bool, url string) []byte {
	return indented(fmt.Appendf(nil, `{"object":"list","data":%s,"has_more":%t,"url":%q}`, listJSON(data), more, url))
}

func (q query) matches(e *event) bool {
	if e.Thin || e.Account != q.account || e.Created < q.from || e.Created > q.to {
		return false
	}
	return len(q.types) == 0 || slices.ContainsFunc(q.types, func(pattern string) bool { return matchType(pattern, e.Type) })
}

// matchType compares a type with a pattern in which one "*" matches any text.
func matchType(pattern, typ string) bool {
	before, after, wild := strings.Cut(pattern, "*")
	if !wild {
		return pattern == typ
	}
	return len(typ) >= len(before)+len(after) && strings.HasPrefix(typ, before) && strings.HasSuffix(typ, after)
}

func parseQuery(v url.Values) (query, *apiError) {
	q := query{limit: defaultLimit, from: -1 << 63, to: 1<<63 - 1}
	for name, values := range v {
		if err := q.set(name, values); err != nil {
			return query{}, err
		}
	}
	switch {
	case q.startingAfter != "" && q.endingBefore != "":
		return query{}, invalid(http.StatusBadRequest, "", "ending_before", "You cannot give both starting_after and ending_before.")
	case v.Has("type") && len(q.types) > 1:
		return query{}, invalid(http.StatusBadRequest, "", "types", "You cannot give both type and types.")
	case len(q.types) > maxTypes:
		return query{}, invalid(http.StatusBadRequest, "", "types", "You cannot give more than %d types.", maxTypes)
	}
	return q, nil
}

// set reads one parameter.
func (q *query) set(name string, values []string) *apiError {
	value := values[len(values)-1]
	switch {
	case name == "limit":
		n, err := strconv.Atoi(value)
		if err != nil || n < 1 || n > maxLimit {
			return invalid(http.StatusBadRequest, "parameter_invalid_integer", "limit", "Invalid integer: limit is from 1 to %d.", maxLimit)
		}
		q.limit = n
	case name == "starting_after":
		q.startingAfter = value
	case name == "ending_before":
		q.endingBefore = value
	case name == "created" || strings.HasPrefix(name, "created["):
		return q.setCreated(name, value)
	case name == "type" || isTypes(name):
		if slices.Contains(values, "") {
			return invalid(http.StatusBadRequest, "parameter_invalid_empty", name, "A type may not be empty.")
		}
		q.types = append(q.types, values...)
	default:
		return unknown(name)
	}
	return nil
}

// setCreated narrows the range; several bounds apply together.
func (q *query) setCreated(name, value string) *apiError {
	at, err := strconv.ParseInt(value, 10, 53)
	if err != nil {
		return invalid(http.StatusBadRequest, "parameter_invalid_integer", name, "Invalid integer: %.40q", value)
	}
	switch name {
	case "created":
		q.from, q.to = max(q.from, at), min(q.to, at)
	case "created[gte]":
		q.from = max(q.from, at)
	case "created[gt]":
		q.from = max(q.from, at+1)
	case "created[lte]":
		q.to = min(q.to, at)
	case "created[lt]":
		q.to = min(q.to, at-1)
	default:
		return unknown(name)
	}
	return nil
}

// isTypes reports whether a parameter is an element of types: types[] or types[0].
func isTypes(name string) bool {
	index, isList := strings.CutPrefix(name, "types[")
	index, closed := strings.CutSuffix(index, "]")
	return isList && closed && strings.Trim(index, "0123456789") == ""
}

// onlyQuery rejects parameters in the address other than the given ones.
func onlyQuery(r *http.Request, names ...string) *apiError {
	for name := range r.URL.Query() {
		if !slices.Contains(names, name) {
			return unknown(name)
		}
	}
	return nil
}

func unknown(name string) *apiError {
	return invalid(http.StatusBadRequest, "parameter_unknown", name, "Received unknown parameter: %.100s (to the fake Stripe)", name)
}
