package check

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"tollgate/pkg/cmd/tollgate/console/job"
	"tollgate/pkg/cmd/tollgate/events"
	ledgerverb "tollgate/pkg/cmd/tollgate/ledger"
	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/console"
	"tollgate/pkg/drift"
	"tollgate/pkg/ledger"
)

const (
	customersPath = "/customers"
	driftPath     = customersPath + "/compared/" // of the jobs
)

func customerPages(a *verb.App) []console.Page {
	const nav = "Check/Customers"
	return []console.Page{
		{Path: customersPath, Title: "Customers", Nav: nav, Views: console.Parse(templates, "customers.html"),
			Load: func(_ context.Context, r *http.Request) (any, error) { return findCustomer(r.URL.Query()) }},
		{Path: customersPath + "/{id}", Title: "Ledger", Nav: nav, Views: console.Parse(templates, "customer.html"), Every: 5 * time.Second,
			Load: func(ctx context.Context, r *http.Request) (any, error) {
				return loadCustomer(ctx, a, r.PathValue("id"), r.URL.Query())
			}},
		{Path: driftPath + "{id}", Title: "Comparison with Stripe", Nav: nav, Views: console.Parse(templates, "drift.html"), Every: time.Second,
			Load: func(ctx context.Context, r *http.Request) (any, error) {
				v, err := console.JobsOf(ctx).Get(r.PathValue("id"))
				return driftOf(v), err
			}},
	}
}

func verifyForm() job.Form {
	return job.Form{
		Path: customersPath + "/verify", Page: driftPath, Title: "Compare with Stripe", Name: "ledger verify", New: func() job.Verb { return &ledgerverb.Verify{} },
		Flags: []string{"customer", "account", "since", "settle", "note"}, Bools: []string{"live", "repair"},
	}
}

type findView struct{ Problem string }

// findCustomer sends the browser to what was asked for.
func findCustomer(q url.Values) (any, error) {
	id := strings.TrimSpace(q.Get("id"))
	if id == "" {
		return findView{}, nil
	}
	to := url.Values{}
	for _, name := range []string{"account", "live", "reference"} {
		if value := strings.TrimSpace(q.Get(name)); value != "" {
			to.Set(name, value)
		}
	}
	path := customersPath + "/" + url.PathEscape(id)
	if strings.HasPrefix(id, "evt_") {
		return nil, console.Redirect("/events/" + url.PathEscape(id))
	}
	if len(to) > 0 {
		path += "?" + to.Encode()
	}
	return nil, console.Redirect(path)
}

type customerView struct {
	ledgerverb.View
	ID      string
	Account string
	Live    bool
	Command string
}

func loadCustomer(ctx context.Context, a *verb.App, id string, q url.Values) (v customerView, err error) {
	c := ledgerverb.Show{ID: id, Account: q.Get("account"), Live: q.Get("live") != ""}
	args := []string{id}
	if q.Get("reference") != "" {
		c.ID, c.Reference, args = "", id, []string{"--reference=" + id}
	}
	if c.Account != "" {
		args = append(args, "--account="+c.Account)
	}
	if c.Live {
		args = append(args, "--live")
	}
	v = customerView{ID: id, Account: c.Account, Live: c.Live, Command: a.CommandLine("ledger show", args...)}
	v.View, err = c.Load(ctx, a)
	if errors.Is(err, ledger.ErrUnknown) {
		err = console.NotFound(err)
	}
	return v, err
}

// object is an object's id, and the page of its ledger.
type object struct{ ID, Path string }

// Ref links to an object of this ledger. The ledger is not read by some kinds, as those of products.
func (v customerView) Ref(id string) object {
	if id == v.ID || !ledgerverb.Readable(id) {
		return object{ID: id}
	}
	return object{ID: id, Path: v.path(id)}
}

func (v customerView) path(id string) string {
	q := url.Values{}
	if v.Account != "" {
		q.Set("account", v.Account)
	}
	if v.Live {
		q.Set("live", "1")
	}
	path := customersPath + "/" + url.PathEscape(id)
	if len(q) > 0 {
		path += "?" + q.Encode()
	}
	return path
}

// Dashboard is the customer's page at Stripe, "" for a guest.
func (v customerView) Dashboard() string {
	if v.Customer == "" {
		return ""
	}
	return events.StripeURL(v.Mode, v.Ledger.Account, "customers/"+url.PathEscape(v.Customer))
}

// Milli is a time of milliseconds since 1970.
func (customerView) Milli(ms int64) time.Time { return time.UnixMilli(ms) }

// driftView is a comparison with Stripe.
type driftView struct {
	Job      console.JobView
	Findings []drift.Finding
}

func driftOf(v console.JobView) driftView {
	return driftView{Job: v, Findings: job.Lines[drift.Finding](v)}
}

// Value shows a field's value.
func (driftView) Value(value any) string {
	if value == nil {
		return "–"
	}
	return verb.Clip(fmt.Sprint(value), 200)
}
