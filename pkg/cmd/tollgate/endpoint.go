package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"tollgate/pkg/event"
	"tollgate/pkg/handlers"
	"tollgate/pkg/registration"
	"tollgate/pkg/stripeapi"
)

// endpointCmds are about the webhook endpoint at Stripe.
type endpointCmds struct {
	Plan   endpointPlanCmd   `cmd:"" help:"Say what apply would do at Stripe."`
	Apply  endpointApplyCmd  `cmd:"" help:"Create or update the endpoint at Stripe, and store its secret."`
	Status endpointStatusCmd `cmd:"" help:"Check the endpoint at Stripe; exit 1 on trouble."`
}

// endpointFlags say which endpoint is meant.
type endpointFlags struct {
	Endpoint string `default:"default" help:"Name of the endpoint in the path and in the stored secrets. Default: default." placeholder:"NAME"`
	URL      string `help:"Where Stripe delivers. Default: the target's, with the endpoint's name." placeholder:"URL"`
	Connect  bool   `help:"The endpoint for the events of connected accounts."`
	NoProbe  bool   `help:"Do not try the URL, as when this machine cannot reach it."`
}

// site is one endpoint of a target with both sides of it: Stripe and the stored secrets.
type site struct {
	target target
	stripe *stripeapi.Client
	vault  vault
	wanted registration.Wanted
	probed bool // whether the URL is tried
}

// site finds the endpoint that is meant, and how both sides are reached.
func (f endpointFlags) site(ctx context.Context, a *app) (site, error) {
	if err := registration.CheckName(f.Endpoint); err != nil {
		return site{}, usage("%v", err)
	}
	t, err := a.target(ctx)
	if err != nil {
		return site{}, err
	}
	s := site{target: t, probed: !f.NoProbe}
	if s.vault, err = t.vault(); err != nil {
		return s, err
	}
	if s.stripe, err = a.stripe(ctx, t); err != nil {
		return s, err
	}
	s.wanted = f.wanted(t)
	if s.wanted.URL == "" {
		return s, usage("where deliveries are posted is not known here: give --url")
	}
	s.wanted.Livemode, err = s.stripe.Livemode(ctx)
	return s, err
}

// wanted is the endpoint that is meant, without its mode; its URL is "" when the target's
// is not known.
func (f endpointFlags) wanted(t target) registration.Wanted {
	url := f.URL
	if url == "" && t.url != "" {
		url = t.url + strings.TrimPrefix(registration.Path(f.Endpoint), registration.Path("default"))
	}
	return registration.Wanted{
		Name: f.Endpoint, URL: url, Connect: f.Connect, APIVersion: stripeapi.APIVersion,
		Events: handlers.Types(), FakeStripe: t.local && t.stripeURL != "",
	}
}

// plan compares what is wanted with what is there.
func (f endpointFlags) plan(ctx context.Context, a *app) (p registration.Plan, err error) {
	s, err := f.site(ctx, a)
	if err != nil {
		return p, err
	}
	p, _, _, err = s.look(ctx)
	return p, err
}

// look compares what is wanted with what is there. stored are all endpoints' secrets.
func (s site) look(ctx context.Context) (p registration.Plan, all []registration.Endpoint, stored registration.Stored, err error) {
	if all, err = s.stripe.ListWebhookEndpoints(ctx); err != nil {
		return p, nil, stored, stripeHint(err)
	}
	known := registration.Known{}
	if s.probed {
		known.Probe = probe(ctx, s.wanted.URL)
	}
	now, err := s.vault.Current(ctx)
	if err == nil {
		stored, err = registration.ReadStored(now.Value)
	}
	if err == nil {
		known.Stored, err = stored.Of(s.wanted.Name)
	}
	known.Read = err == nil
	p = registration.Make(s.wanted, all, known)
	if err != nil {
		p.Findings = append(p.Findings, registration.Finding{Level: registration.Trouble, What: err.Error()})
	}
	return p, all, stored, nil
}

// stripeHint says what to do about a key that may not do this.
func stripeHint(err error) error {
	if errors.Is(err, stripeapi.ErrUnauthorized) {
		return hint(err, "a restricted key needs read and write on Webhook Endpoints")
	}
	return err
}

const (
	probeTimeout  = 10 * time.Second
	maxProbeBytes = 64 << 10
)

// probe posts a delivery that nobody signed, as that is what shows who answers: ingest
// refuses it with 400 and writes nothing.
func probe(ctx context.Context, url string) *registration.Probe {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader("{}"))
	if err != nil {
		return &registration.Probe{Err: "it is no URL"}
	}
	req.Header.Set("Content-Type", "application/json")
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Do(req)
	if err != nil {
		return &registration.Probe{Err: clip(err.Error(), 200)}
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, maxProbeBytes)) // so that the connection ends well
	return &registration.Probe{Status: res.StatusCode, Location: res.Header.Get("Location")}
}

// showPlan prints a plan.
func (a *app) showPlan(p registration.Plan) {
	if a.json {
		a.object(p)
		return
	}
	w := p.Wanted
	lines := [][2]string{
		{"endpoint", fmt.Sprintf("%s (%s mode)", w.Name, event.Mode(w.Livemode))},
		{"url", w.URL},
		{"api version", w.APIVersion},
		{"connect", fmt.Sprint(w.Connect)},
		{"events", strings.Join(w.Events, ", ")},
		{"at Stripe", cmp.Or(p.Endpoint, "none")},
		{"to do", planWords(p)},
	}
	a.fields(lines)
	for _, f := range p.Findings {
		fmt.Fprintln(a.out, findingText(f))
		if f.Do != "" {
			fmt.Fprintf(a.out, "  %s\n", f.Do)
		}
	}
}

func findingText(f registration.Finding) string {
	return fmt.Sprintf("%s: %s%s", f.Level, strings.TrimPrefix(f.Endpoint+" ", " "), f.What)
}

// planWords is what apply would do, in words.
func planWords(p registration.Plan) string {
	var words []string
	if len(p.Delete) > 0 {
		words = append(words, "delete "+strings.Join(p.Delete, ", "))
	}
	switch p.Action {
	case registration.ActionRefuse:
		return "nothing can be done, see below"
	case registration.ActionCreate:
		words = append(words, fmt.Sprintf("create an endpoint for %d types at %s and store its secret", len(p.Wanted.Events), p.Wanted.URL))
	case registration.ActionUpdate:
		update := "update " + p.Endpoint
		if p.Enable {
			update += ", enable it"
		}
		if len(p.Add) > 0 {
			update += ", add " + strings.Join(p.Add, " ")
		}
		if len(p.Remove) > 0 {
			update += ", remove " + strings.Join(p.Remove, " ")
		}
		words = append(words, update)
	}
	if len(words) == 0 {
		return "nothing"
	}
	return strings.Join(words, "; ")
}
