// Package causes has the console's pages about what events fail with: the list, one cause, and
// its incident report to print.
package causes

import (
	"context"
	"embed"
	"errors"
	"net/http"
	"time"

	"tollgate/pkg/causes"
	"tollgate/pkg/cmd/tollgate/events"
	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/console"
)

//go:embed *.html
var templates embed.FS

const (
	every   = 5 * time.Second
	maxRead = 2000 // records of one view
)

// Pages are the views.
func Pages(a *verb.App) []console.Page {
	const nav = "Watch/Causes"
	return []console.Page{
		{Path: "/causes", Title: "Causes", Nav: nav, Views: console.Parse(templates, "causes.html"), Every: every,
			Load: func(ctx context.Context, r *http.Request) (any, error) {
				v := listView{Type: r.URL.Query().Get("type")}
				var err error
				v.CausesReport, err = events.Causes{Type: v.Type, Records: true, MaxRead: maxRead}.Load(ctx, a)
				return v, err
			}},
		{Path: "/causes/{fingerprint}", Title: "Cause", Nav: nav, Views: console.Parse(templates, "cause.html"), Every: every,
			Load: func(ctx context.Context, r *http.Request) (any, error) {
				return loadCause(ctx, a, r.PathValue("fingerprint"))
			}},
		{Path: "/causes/{fingerprint}/print", Title: "Incident report", Nav: nav, Views: console.Parse(templates, "report.html"),
			Load: func(ctx context.Context, r *http.Request) (any, error) {
				return loadReport(ctx, a, r.PathValue("fingerprint"), r.URL.Query().Get("since"))
			}},
	}
}

type listView struct {
	events.CausesReport
	Type string
}

type causeView struct {
	Fingerprint string
	Command     string
	Read        int
	More        bool
	Causes      []oneCause
}

// oneCause is a cause with the failed attempts of its newest event.
type oneCause struct {
	causes.Cause
	Attempts events.History
}

func loadCause(ctx context.Context, a *verb.App, fingerprint string) (v causeView, err error) {
	r, err := events.Causes{Fingerprint: fingerprint, Records: true, MaxRead: maxRead}.Load(ctx, a)
	if err != nil {
		return v, err
	}
	v = causeView{Fingerprint: fingerprint, Command: a.CommandLine("causes", fingerprint), Read: r.Read, More: r.More}
	for _, c := range r.Causes {
		one := oneCause{Cause: c}
		shown, err := events.Load(ctx, a, c.EventID)
		switch {
		case err == nil:
			one.Attempts = shown.History
		case !errors.Is(err, events.ErrUnknown):
			return v, err
		}
		v.Causes = append(v.Causes, one)
	}
	return v, nil
}
