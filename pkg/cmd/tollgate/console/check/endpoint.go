package check

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"tollgate/pkg/cmd/tollgate/console/job"
	"tollgate/pkg/cmd/tollgate/endpoint"
	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/console"
)

func endpointPages(a *verb.App) []console.Page {
	return []console.Page{{
		Path: "/endpoint", Title: "Endpoint at Stripe", Nav: "Check/Endpoint", Views: console.Parse(templates, "endpoint.html"), Every: time.Minute,
		Load: func(ctx context.Context, r *http.Request) (any, error) { return loadEndpoint(ctx, a, r.URL.Query()) },
	}}
}

func statusForm() job.Form {
	return job.Form{
		Path: "/endpoint/status", Title: "Test the endpoint", Name: "endpoint status", New: func() job.Verb { return &endpoint.Status{} },
		Flags: []string{"endpoint", "url"}, Bools: []string{"connect"},
	}
}

func applyForm() job.Form {
	return job.Form{
		Path: "/endpoint/apply", Title: "Apply to the endpoint", Name: "endpoint apply", New: func() job.Verb { return &endpoint.Apply{} },
		Flags: []string{"endpoint", "url", "note"}, Bools: []string{"connect"},
	}
}

type endpointView struct {
	endpoint.View
	Form struct {
		Endpoint, URL string
		Connect       bool
	}
	app *verb.App
}

// Hint is what to do about an error.
func (v endpointView) Hint(err error) string { return v.app.HintOf(err) }

func loadEndpoint(ctx context.Context, a *verb.App, q url.Values) (v endpointView, err error) {
	v.app = a
	v.Form.Endpoint, v.Form.URL, v.Form.Connect = q.Get("endpoint"), q.Get("url"), q.Get("connect") != ""
	if v.Form.Endpoint == "" {
		v.Form.Endpoint = "default"
	}
	v.View, err = endpoint.Load(ctx, a, verb.EndpointFlags{Endpoint: v.Form.Endpoint, URL: v.Form.URL, Connect: v.Form.Connect})
	return v, err
}
