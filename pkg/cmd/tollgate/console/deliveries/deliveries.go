// Package deliveries has the console's pages of destinations and of what is sent to them. Each
// change is a verb that runs as a job. Tokens are made by the command only: a job's output is kept
// as long as the console runs.
package deliveries

import (
	"context"
	"embed"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"tollgate/pkg/cmd/tollgate/console/job"
	"tollgate/pkg/cmd/tollgate/destinations"
	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/console"
	"tollgate/pkg/history"
)

//go:embed *.html
var templates embed.FS

const path = "/deliveries"

// Of a page of a destination's deliveries: rows shown and, for a status that few have, read.
const pageRows, pageRead = 50, 1000

// Pages are the views.
func Pages(a *verb.App) []console.Page {
	const nav = "Watch/Deliveries"
	return []console.Page{
		{Path: path, Title: "Deliveries", Nav: nav, Views: console.Parse(templates, "all.html"), Every: 5 * time.Second,
			Load: func(ctx context.Context, _ *http.Request) (any, error) { return loadAll(ctx, a) }},
		{Path: path + "/{name}", Title: "Deliveries", Nav: nav, Views: console.Parse(templates, "one.html"), Every: 10 * time.Second,
			Load: func(ctx context.Context, r *http.Request) (any, error) {
				return loadOne(ctx, a, r.PathValue("name"), r.URL.Query())
			}},
	}
}

// Actions are the changes. The field "what" is the destination's name, and messages after it.
func Actions(a *verb.App) (actions []console.Action) {
	for _, f := range []job.Form{
		{Path: path + "/retry", Title: "Retry deliveries", Name: "deliveries retry", New: func() job.Verb { return &destinations.Retry{} }, Flags: []string{"note"}, Args: "what"},
		{Path: path + "/pause", Title: "Pause a destination", Name: "deliveries pause", New: func() job.Verb { return &destinations.PauseSending{} }, Flags: []string{"note"}, Args: "what"},
		{Path: path + "/resume", Title: "Resume a destination", Name: "deliveries resume", New: func() job.Verb { return &destinations.ResumeSending{} }, Flags: []string{"note"}, Args: "what"},
		{Path: path + "/revoke", Title: "Revoke a destination's tokens", Name: "deliveries token", New: func() job.Verb { return &destinations.Token{} }, Flags: []string{"note"}, Args: "what", Always: []string{"--revoke"}},
		{Path: path + "/enable", Title: "Enable a destination", Name: "destination enable", New: func() job.Verb { return &destinations.Enable{} }, Flags: []string{"note"}, Args: "what"},
		{Path: path + "/dead", Title: "Count dead letters of a destination", Name: "destination show", New: func() job.Verb { return &destinations.Show{} }, Args: "what"},
	} {
		actions = append(actions, f.Action(a))
	}
	return actions
}

type allView struct {
	destinations.Now
	None bool // the system has no destinations
}

func loadAll(ctx context.Context, a *verb.App) (v allView, err error) {
	t, err := a.Target(ctx)
	if err != nil {
		return v, err
	}
	if v.None = t.SendDLQURL == ""; !v.None {
		v.Now, err = destinations.Load(ctx, a)
	}
	return v, err
}

type oneView struct {
	destinations.View
	Form     url.Values
	Statuses []string
	Rows     []row
	Next     string // address of the next page, "" at the end
	Problem  string // a filter that cannot be read
	Hint     string
	List     string // command lines
	Token    string
}

type row struct{ destinations.ListedDelivery }

// Took is the last attempt's time.
func (r row) Took() time.Duration { return time.Duration(r.LastMillis) * time.Millisecond }

// Again reports whether a retry would begin it.
func (r row) Again() bool { return r.Status != "delivered" && r.Status != "running" }

// HTTP is an answer's status, for people.
func (row) HTTP(status int) string {
	if status == 0 {
		return "none"
	}
	return fmt.Sprint(status)
}

func loadOne(ctx context.Context, a *verb.App, name string, q url.Values) (v oneView, err error) {
	t, err := a.Target(ctx)
	if err != nil {
		return v, err
	}
	if t.SendDLQURL == "" {
		return v, console.Redirect(path)
	}
	v = oneView{Form: q, Statuses: history.Statuses()[1:], Token: a.CommandLine("deliveries token", name)}
	if v.View, err = destinations.LoadOne(ctx, a, name); verb.IsUsage(err) {
		return v, console.NotFound(err)
	}
	if err != nil || !v.History {
		return v, err
	}
	args := []string{name}
	for _, flag := range []string{"status", "since", "after"} {
		if value := strings.TrimSpace(q.Get(flag)); value != "" {
			args = append(args, "--"+flag+"="+value)
		}
	}
	v.List = a.CommandLine("deliveries list", args...)
	var c destinations.ListDeliveries
	var listed destinations.Listed
	if err = verb.Parse(&c, append(slices.Clone(args), fmt.Sprintf("--limit=%d", pageRows), fmt.Sprintf("--max-read=%d", pageRead))); err == nil {
		listed, err = c.Load(ctx, a)
	}
	if verb.IsUsage(err) {
		v.Problem, v.Hint = err.Error(), a.HintOf(err)
		return v, nil
	}
	for _, d := range listed.Deliveries {
		v.Rows = append(v.Rows, row{d})
	}
	if listed.After != "" {
		next := url.Values{"after": {listed.After}}
		for _, name := range []string{"status", "since"} {
			if q.Get(name) != "" {
				next.Set(name, q.Get(name))
			}
		}
		v.Next = path + "/" + url.PathEscape(name) + "?" + next.Encode()
	}
	return v, err
}
