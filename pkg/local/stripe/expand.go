package stripe

import (
	"bytes"
	"cmp"
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"tollgate/pkg/local/aws/jsonscan"
)

// isExpand reports whether a parameter names what is to be expanded.
func isExpand(name string) bool { return name == "expand" || strings.HasPrefix(name, "expand[") }

// expand returns an object with the members expanded that a request names: a charge's
// refunds, and ids of objects that are known. Other members stay as they are.
func (s *Fake) expand(r *http.Request, object *state) (json.RawMessage, error) {
	body := json.RawMessage(object.Body)
	for name, values := range r.URL.Query() {
		if !isExpand(name) {
			continue
		}
		for _, member := range values {
			var err error
			if object.Kind == "charge" && member == "refunds" {
				body, err = s.withRefunds(object, body)
			} else {
				body, err = s.withMember(object, body, member)
			}
			if err != nil {
				return nil, err
			}
		}
	}
	return body, nil
}

// withMember replaces the id in a member by the object. The member has the name of its kind,
// but for a refund's failure_balance_transaction.
func (s *Fake) withMember(object *state, body json.RawMessage, member string) (json.RawMessage, error) {
	id, kind := text(jsonscan.Get(body, member)), strings.TrimPrefix(member, "failure_")
	if id == "" || kind != "balance_transaction" && !slices.Contains(strings.Fields(kinds), kind) {
		return body, nil
	}
	found, err := s.store.object(object.Account, kind, id)
	if err != nil || found == nil {
		return body, err
	}
	return indented(splice(body, member, func(json.RawMessage) json.RawMessage { return found.Body })), nil
}

// shownRefunds is how many refunds Stripe shows with a charge.
const shownRefunds = 10

// withRefunds adds the newest refunds to a charge. If none are known, those stay that the
// charge was given with.
func (s *Fake) withRefunds(charge *state, body json.RawMessage) (json.RawMessage, error) {
	all, err := s.refunds(charge.Account, charge.ID)
	if given := jsonscan.Get(body, "refunds"); err != nil || len(all) == 0 && jsonscan.Get(given, "data") != nil {
		return body, err
	}
	for i := range all {
		if all[i], err = s.withMember(charge, all[i], "failure_balance_transaction"); err != nil {
			return nil, err
		}
	}
	list := listOf(all[:min(len(all), shownRefunds)], len(all) > shownRefunds, "/v1/charges/"+charge.ID+"/refunds")
	if jsonscan.Get(body, "refunds") == nil {
		body = append(bytes.TrimSuffix(bytes.TrimSpace(body), []byte("}")), `,"refunds":null}`...)
	}
	return indented(splice(body, "refunds", func(json.RawMessage) json.RawMessage { return list })), nil
}

// refunds returns an account's refunds, or those of a charge, newest first.
func (s *Fake) refunds(account, charge string) ([]json.RawMessage, error) {
	all, err := s.store.states(func(each *state) bool {
		return each.Kind == "refund" && !each.Gone && each.Account == account && (charge == "" || each.Charge == charge)
	})
	created := func(each *state) (at int64) {
		_ = json.Unmarshal(jsonscan.Get(each.Body, "created"), &at) // 0 if it has none
		return at
	}
	slices.Reverse(all)
	slices.SortStableFunc(all, func(a, b *state) int { return cmp.Compare(created(b), created(a)) })
	list := []json.RawMessage{}
	for _, each := range all {
		list = append(list, each.Body)
	}
	return list, err
}

// listRefunds serves a page of the refunds, newest first, of all charges or of one.
func (s *Fake) listRefunds(r *http.Request) ([]byte, *apiError) {
	q, charge, refused := listQuery(r, "charge")
	if refused != nil {
		return nil, refused
	}
	if charge != "" {
		s.expected.wait(r.Context(), account(r), charge)
		found, err := s.store.object(account(r), "charge", charge)
		if err != nil {
			return nil, broken(err)
		}
		if found == nil {
			return nil, invalid(http.StatusBadRequest, "resource_missing", "charge", "No such charge: '%.255s'", charge)
		}
	}
	all, err := s.refunds(account(r), charge)
	if err != nil {
		return nil, broken(err)
	}
	page, more, refused := cut(all, q, "refund", func(refund json.RawMessage) string { return text(jsonscan.Get(refund, "id")) })
	if refused != nil {
		return nil, refused
	}
	return listOf(page, more, "/v1/refunds"), nil
}

// listQuery reads the page that a request wants and the value of the parameter that names
// whose elements it wants. Expansions are allowed.
func listQuery(r *http.Request, parent string) (query, string, *apiError) {
	v := r.URL.Query()
	of := v.Get(parent)
	for name := range v {
		switch {
		case name == parent, isExpand(name):
			v.Del(name)
		case !slices.Contains([]string{"limit", "starting_after", "ending_before"}, name):
			return query{}, "", unknown(name)
		}
	}
	q, err := parseQuery(v)
	return q, of, err
}
