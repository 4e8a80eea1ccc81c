package check

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"tollgate/pkg/cmd/tollgate/audit"
	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/console"
	"tollgate/pkg/dynamostore"
)

// maxAudit is how many entries of the time a page looks at.
const maxAudit = 1000

func auditPages(a *verb.App) []console.Page {
	return []console.Page{{
		Path: "/audit", Title: "Audit trail", Nav: "Check/Audit", Views: console.Parse(templates, "audit.html"), Every: 3 * time.Second,
		Load: func(ctx context.Context, r *http.Request) (any, error) { return loadAudit(ctx, a, r.URL.Query()) },
	}}
}

type auditView struct {
	Since, Verb, By, Text, State string
	Entries                      []auditEntry
	Searched                     int
	More                         bool // there are entries that were not searched
	Filtered                     bool
}

type auditEntry struct {
	dynamostore.AuditEntry
	State string // done, failed, or open: it runs, or its process died
}

func stateOf(e dynamostore.AuditEntry) string {
	switch {
	case e.EndedAt.IsZero():
		return "open"
	case strings.Contains(e.Outcome, "failed: ") || strings.Contains(e.Outcome, "interrupted: ") || e.Outcome == "it panicked":
		return "failed"
	}
	return "done"
}

func loadAudit(ctx context.Context, a *verb.App, q url.Values) (auditView, error) {
	v := auditView{Since: q.Get("since"), Verb: strings.TrimSpace(q.Get("verb")), By: strings.TrimSpace(q.Get("by")), Text: strings.TrimSpace(q.Get("q")), State: q.Get("state")}
	if id := q.Get("id"); id != "" {
		v.Text = id
	}
	if v.Since == "" {
		v.Since = "30d"
	}
	list := audit.List{Since: v.Since, Verb: v.Verb, Limit: maxAudit}
	found, err := list.Load(ctx, a)
	if err != nil {
		return v, err
	}
	v.Searched, v.More, v.Filtered = len(found.Entries), found.More, v.By+v.Text+v.State+v.Verb != ""
	for _, e := range found.Entries {
		one := auditEntry{e, stateOf(e)}
		if contains(v.By, e.By) && (v.State == "" || v.State == one.State) && contains(v.Text, e.ID, e.Verb, e.By, e.Why, e.Detail, e.Outcome) {
			v.Entries = append(v.Entries, one)
		}
	}
	return v, nil
}

// contains reports whether one of the texts has the wanted one, whatever the case.
func contains(want string, texts ...string) bool {
	want = strings.ToLower(want)
	return slices.ContainsFunc(texts, func(s string) bool { return strings.Contains(strings.ToLower(s), want) })
}
