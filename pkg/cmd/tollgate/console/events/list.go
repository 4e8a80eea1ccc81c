package events

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"tollgate/pkg/cmd/tollgate/events"
	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/console"
	"tollgate/pkg/idempotency"
)

const (
	pageRows = 50
	scanStep = 2000 // items that one step of a scan reads
)

// listView is the data of the search.
type listView struct {
	Form      url.Values
	Rows      []row
	Problem   string // a filter that cannot be read
	Hint      string
	Scanned   bool
	Named     bool // found by an id
	Read      int  // items of the table, with the steps before
	Items     int64
	Left      int
	Next      string // address of the next step or page, "" at the end
	Scan      string // address that reads the whole table for the id, "" if it does already
	Command   string
	Filtered  bool
	Full      bool // the page has as many rows as it may
	StatusOf  []choice
	ModeOf    []choice
	Step      int    // items that the next step reads
	Refreshed string // how often it is
}

type row struct {
	verb.RecordView
	Why string
}

// At is where its message is, "" for what the status tells.
func (r row) At() string {
	if !r.WhereInferred || r.Where == idempotency.InFlight || r.Where == idempotency.InDLQ {
		return ""
	}
	return strings.ReplaceAll(string(r.Where), "_", " ")
}

// choice is an option of a select.
type choice struct {
	Value, Text string
	Chosen      bool
}

func choices(chosen string, pairs ...string) (list []choice) {
	for i := 0; i < len(pairs); i += 2 {
		list = append(list, choice{pairs[i], pairs[i+1], pairs[i] == chosen})
	}
	return list
}

// list searches. The id of an event leads to its story.
func (p *pages) list(ctx context.Context, r *http.Request) (any, error) {
	q := r.URL.Query()
	for name := range q {
		q.Set(name, strings.TrimSpace(q.Get(name)))
	}
	if id := q.Get("about"); strings.HasPrefix(id, "evt_") {
		return nil, console.Redirect(path + "/" + url.PathEscape(id))
	}
	v := listView{Form: q, Filtered: filtered(q), Step: scanStep}
	v.StatusOf = choices(q.Get("status"), "", "failed, not done", "retrying", "retrying", "dead", "dead", "any", "any", "done", "done",
		"ignored", "ignored", "running", "running", "purged", "purged", "broken", "broken")
	v.ModeOf = choices(q.Get("mode"), "", "any", "live", "live", "test", "test")
	args := arguments(q)
	v.Command = p.app.CommandLine("events list", args...)
	var c events.List
	if err := verb.Parse(&c, append(args, "--cursor="+q.Get("cursor"), fmt.Sprintf("--limit=%d", pageRows), fmt.Sprintf("--max-read=%d", scanStep))); err != nil {
		v.Problem, v.Hint = err.Error(), p.app.HintOf(err)
		return v, nil
	}
	age := time.Duration(0)
	switch {
	case c.About != "" && !c.Scan:
		age, v.Refreshed = namedAge, "every 5 seconds"
	case c.Scans():
		age, v.Refreshed = scanAge, "once a minute"
	}
	found, err := p.lists.get(q.Encode(), age, func() (events.Found, error) {
		return events.Find(ctx, p.app.ForJob(verb.Job{Out: io.Discard, Err: io.Discard}), c)
	})
	if verb.IsUsage(err) {
		v.Problem, v.Hint = err.Error(), p.app.HintOf(err)
		return v, nil
	}
	if err != nil {
		return nil, err
	}
	v.show(q, found)
	return v, nil
}

func filtered(q url.Values) bool {
	for _, name := range []string{"about", "type", "status", "mode", "account", "since", "until"} {
		if q.Get(name) != "" {
			return true
		}
	}
	return false
}

// arguments are those of the verb that a search runs.
func arguments(q url.Values) (args []string) {
	any := q.Get("status") == "any"
	for _, name := range []string{"about", "status", "type", "mode", "account", "since", "until"} {
		if value := q.Get(name); value != "" && !(name == "status" && any) {
			args = append(args, "--"+name+"="+value)
		}
	}
	if any && len(args) == 0 {
		args = append(args, "--type=*")
	}
	if q.Get("scan") != "" {
		args = append(args, "--scan")
	}
	return args
}

func (v *listView) show(q url.Values, f events.Found) {
	before, _ := strconv.Atoi(q.Get("read"))
	before = max(0, before)
	v.Scanned, v.Named, v.Items, v.Left, v.Read = f.Scanned, f.Pointed, f.Items, f.Left, before+f.Read
	now := time.Now()
	for _, r := range f.Records {
		v.Rows = append(v.Rows, rowOf(r, verb.ViewOf(r, now, f.Limits)))
	}
	v.Full = len(v.Rows) == pageRows
	if f.Cursor != "" {
		next := with(q, "cursor", f.Cursor)
		next.Set("read", strconv.Itoa(v.Read))
		v.Next = path + "?" + next.Encode()
	}
	if f.Pointed {
		v.Scan = path + "?" + with(q, "scan", "on").Encode()
	}
}

func with(q url.Values, name, value string) url.Values {
	c := url.Values{}
	for n, values := range q {
		c[n] = values
	}
	c.Set(name, value)
	return c
}

func rowOf(r idempotency.Record, v verb.RecordView) row {
	why := r.Err
	switch {
	case v.Broken != "":
		why = v.Broken
	case r.State == idempotency.Done:
		why = r.Outcome.Text()
	}
	return row{v, verb.Clip(why, 200)}
}
