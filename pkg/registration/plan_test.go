package registration

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

const testURL = "https://hooks.example.com/webhooks/stripe"

func wanted() Wanted {
	return Wanted{Name: "default", URL: testURL, Events: []string{"invoice.paid", "charge.dispute.created"}, APIVersion: "2023-10-16"}
}

func whole(id string, change ...func(*Endpoint)) Endpoint {
	e := Endpoint{
		ID: id, URL: testURL, Events: []string{"invoice.paid", "charge.dispute.created"}, APIVersion: "2023-10-16", Created: time.Unix(1_700_000_000, 0),
		Metadata: map[string]string{MetaName: "default", MetaConnect: "false", MetaSecret: NewSecret("whsec_1").Fingerprint()},
	}
	for _, f := range change {
		f(&e)
	}
	return e
}

func ok() Known {
	return Known{Probe: &Probe{Status: 400}, Read: true, Stored: []Secret{NewSecret("whsec_1")}}
}

func TestPlan(t *testing.T) {
	disabled := func(e *Endpoint) { e.Disabled = true }
	version := func(v string) func(*Endpoint) { return func(e *Endpoint) { e.APIVersion = v } }
	types := func(list ...string) func(*Endpoint) { return func(e *Endpoint) { e.Events = list } }
	unmarked := func(e *Endpoint) { delete(e.Metadata, MetaSecret) }
	byHand := func(e *Endpoint) { e.Metadata = nil }
	at := func(url string) func(*Endpoint) { return func(e *Endpoint) { e.URL = url } }
	newer := func(e *Endpoint) { e.Created = e.Created.Add(time.Hour) }
	connect := func(e *Endpoint) { e.Metadata[MetaConnect] = "true" }
	app := func(e *Endpoint) { e.Metadata, e.Application = nil, "ca_1" }
	many := func(n int) (list []Endpoint) {
		for i := range n {
			list = append(list, whole(fmt.Sprint("we_other", i), at(fmt.Sprintf("https://other.example.com/%d", i))))
		}
		return list
	}
	for _, c := range []struct {
		name string
		all  []Endpoint
		w    func(*Wanted)
		k    func(*Known)
		want Plan     // Wanted and Findings are compared apart
		says []string // one for each finding, "trouble we_1 …" or "note …"; none more
	}{
		{name: "none there", want: Plan{Action: ActionCreate}},
		{name: "as it should be", all: []Endpoint{whole("we_1")}, want: Plan{Action: ActionNothing, Endpoint: "we_1"}},
		{name: "of another URL", all: []Endpoint{whole("we_1", at("https://hooks.example.com/webhooks/stripe/eu"))}, want: Plan{Action: ActionCreate}},
		{name: "the same URL in another case", all: []Endpoint{whole("we_1", at("https://HOOKS.example.com:443/webhooks/stripe/?version=2"))}, want: Plan{Action: ActionNothing, Endpoint: "we_1"}},
		{name: "disabled", all: []Endpoint{whole("we_1", disabled)},
			want: Plan{Action: ActionUpdate, Endpoint: "we_1", Enable: true}, says: []string{"trouble we_1 it is disabled"}},
		{name: "lacks a type", all: []Endpoint{whole("we_1", types("invoice.paid"))},
			want: Plan{Action: ActionUpdate, Endpoint: "we_1", Add: []string{"charge.dispute.created"}}, says: []string{"trouble we_1 it lacks types that have a handler: charge.dispute.created"}},
		{name: "has a type more", all: []Endpoint{whole("we_1", types("charge.dispute.created", "invoice.paid", "plan.created"))},
			want: Plan{Action: ActionUpdate, Endpoint: "we_1", Remove: []string{"plan.created"}}, says: []string{"trouble we_1 it sends types that have no handler: plan.created"}},
		{name: "every type", all: []Endpoint{whole("we_1", types("*"))},
			want: Plan{Action: ActionUpdate, Endpoint: "we_1", Add: []string{"charge.dispute.created", "invoice.paid"}, Remove: []string{"*"}}, says: []string{"trouble we_1 it takes every type (*)"}},
		{name: "another version", all: []Endpoint{whole("we_1", version("2020-08-27"))},
			want: Plan{Action: ActionCreate, Replaces: []string{"we_1"}}, says: []string{"trouble we_1 it delivers in 2020-08-27, which cannot be changed"}},
		{name: "the account's version", all: []Endpoint{whole("we_1", version(""))},
			want: Plan{Action: ActionCreate, Replaces: []string{"we_1"}}, says: []string{"trouble we_1 it delivers in the account's default version"}},
		{name: "another version and the right one", all: []Endpoint{whole("we_old", version("2020-08-27")), whole("we_new")},
			want: Plan{Action: ActionNothing, Endpoint: "we_new", Replaces: []string{"we_old"}}, says: []string{"trouble we_old it delivers the same events in 2020-08-27"}},
		{name: "another version, retired", all: []Endpoint{whole("we_old", version("2020-08-27"), disabled), whole("we_new")},
			want: Plan{Action: ActionNothing, Endpoint: "we_new"}, says: []string{"note we_old it is disabled"}},
		{name: "twice", all: []Endpoint{whole("we_1"), whole("we_2", newer)},
			want: Plan{Action: ActionNothing, Endpoint: "we_2", Replaces: []string{"we_1"}}, says: []string{"trouble we_1 it is a duplicate of we_2"}},
		{name: "the enabled one of two serves", all: []Endpoint{whole("we_1"), whole("we_2", newer, disabled)},
			want: Plan{Action: ActionNothing, Endpoint: "we_1"}, says: []string{"note we_2 it is disabled"}},
		{name: "the marked one of two serves", all: []Endpoint{whole("we_1"), whole("we_2", newer, byHand)},
			want: Plan{Action: ActionNothing, Endpoint: "we_1", Replaces: []string{"we_2"}}, says: []string{"trouble we_2 it is a duplicate of we_1"}},
		{name: "made by hand", all: []Endpoint{whole("we_1", byHand)},
			want: Plan{Action: ActionNothing, Endpoint: "we_1"}, says: []string{"note we_1 it was not created by this command"}},
		{name: "its secret was never stored", all: []Endpoint{whole("we_1", unmarked)},
			want: Plan{Action: ActionCreate, Delete: []string{"we_1"}}, says: []string{"trouble we_1 its secret was never stored"}},
		{name: "one of those and a whole one", all: []Endpoint{whole("we_1", unmarked), whole("we_2")},
			want: Plan{Action: ActionNothing, Endpoint: "we_2", Delete: []string{"we_1"}}, says: []string{"trouble we_1 its secret was never stored"}},
		{name: "for connected accounts, too", all: []Endpoint{whole("we_1"), whole("we_c", connect)},
			want: Plan{Action: ActionNothing, Endpoint: "we_1"}, says: []string{"note we_c it delivers to the same URL, for connected accounts"}},
		{name: "for connected accounts is wanted", all: []Endpoint{whole("we_1"), whole("we_c", app)}, w: func(w *Wanted) { w.Connect = true },
			want: Plan{Action: ActionNothing, Endpoint: "we_c"}, says: []string{"note we_1 it delivers to the same URL, for the account's own events", "note we_c it was not created by this command"}},
		{name: "connect differs", all: []Endpoint{whole("we_1")}, w: func(w *Wanted) { w.Connect = true },
			want: Plan{Action: ActionCreate}, says: []string{"note we_1 it delivers to the same URL"}},
		{name: "sixteen others", all: many(16), want: Plan{Action: ActionRefuse}, says: []string{"trouble the account has 16 webhook endpoints"}},
		{name: "fifteen others", all: many(15), want: Plan{Action: ActionCreate}},
		{name: "sixteen with one to delete", all: append(many(15), whole("we_1", unmarked)),
			want: Plan{Action: ActionCreate, Delete: []string{"we_1"}}, says: []string{"trouble we_1 its secret was never stored"}},
		{name: "sixteen with this one", all: append(many(15), whole("we_1")), want: Plan{Action: ActionNothing, Endpoint: "we_1"}},

		{name: "dead types", all: []Endpoint{whole("we_1")}, w: func(w *Wanted) { w.Events = append(w.Events, "sku.updated", "invoice.paid") },
			want: Plan{Action: ActionNothing, Endpoint: "we_1"}, says: []string{"note handlers are registered for types that Stripe no longer sends: sku.updated"}},
		{name: "only dead types", w: func(w *Wanted) { w.Events = []string{"order.created"} }, want: Plan{Action: ActionRefuse},
			says: []string{"note handlers are registered", "trouble no type has a handler"}},
		{name: "http in live mode", w: func(w *Wanted) { w.Livemode, w.URL = true, "http://hooks.example.com/webhooks/stripe" }, want: Plan{Action: ActionRefuse},
			says: []string{"trouble Stripe delivers live events over https only"}},
		{name: "http in test mode", w: func(w *Wanted) { w.URL = "http://hooks.example.com/webhooks/stripe" }, want: Plan{Action: ActionCreate}, says: []string{"note the URL is http"}},
		{name: "loopback", w: func(w *Wanted) { w.URL = "https://127.0.0.1:4242/webhooks/stripe" }, want: Plan{Action: ActionRefuse}, says: []string{"trouble Stripe cannot reach 127.0.0.1:4242"}},
		{name: "loopback of a fake Stripe", w: func(w *Wanted) { w.URL, w.FakeStripe = "http://127.0.0.1:4242/webhooks/stripe", true }, want: Plan{Action: ActionCreate}},
		{name: "private", w: func(w *Wanted) { w.URL = "https://10.1.2.3/webhooks/stripe" }, want: Plan{Action: ActionRefuse}, says: []string{"trouble Stripe cannot reach 10.1.2.3"}},
		{name: "no URL", w: func(w *Wanted) { w.URL = "hooks.example.com" }, want: Plan{Action: ActionRefuse}, says: []string{"trouble \"hooks.example.com\" is not a URL"}},
		{name: "another endpoint's path", w: func(w *Wanted) { w.Name = "eu" }, want: Plan{Action: ActionCreate}, says: []string{"note the URL's path is /webhooks/stripe, and endpoint eu is served at /webhooks/stripe/eu"}},

		{name: "redirects", all: []Endpoint{whole("we_1")}, k: func(k *Known) { k.Probe = &Probe{Status: 301, Location: "https://www.example.com/"} },
			want: Plan{Action: ActionNothing, Endpoint: "we_1"}, says: []string{"trouble the URL redirects (301 to https://www.example.com/)"}},
		{name: "no answer", k: func(k *Known) { k.Probe = &Probe{Err: "refused"} }, want: Plan{Action: ActionCreate}, says: []string{"trouble the URL does not answer: refused"}},
		{name: "accepts unsigned deliveries", k: func(k *Known) { k.Probe = &Probe{Status: 200} }, want: Plan{Action: ActionCreate}, says: []string{"trouble the URL answers 200 to a delivery without a signature"}},
		{name: "no such path", k: func(k *Known) { k.Probe = &Probe{Status: 404} }, want: Plan{Action: ActionCreate}, says: []string{"trouble the URL answers 404"}},
		{name: "sources are listed", k: func(k *Known) { k.Probe = &Probe{Status: 403} }, want: Plan{Action: ActionCreate}, says: []string{"note the URL answers 403"}},
		{name: "no secret yet", k: func(k *Known) { k.Probe, k.Stored = &Probe{Status: 500}, nil }, want: Plan{Action: ActionCreate}, says: []string{"note the URL answers 500, as it does until"}},
		{name: "fails", k: func(k *Known) { k.Probe = &Probe{Status: 500} }, want: Plan{Action: ActionCreate}, says: []string{"trouble the URL answers 500"}},

		{name: "secret overwritten", all: []Endpoint{whole("we_1")}, k: func(k *Known) { k.Stored = []Secret{NewSecret("whsec_2")} },
			want: Plan{Action: ActionNothing, Endpoint: "we_1"}, says: []string{"note we_1 none of the stored secrets"}},
		{name: "no secret", all: []Endpoint{whole("we_1")}, k: func(k *Known) { k.Stored = nil },
			want: Plan{Action: ActionNothing, Endpoint: "we_1"}, says: []string{"trouble we_1 no secret is stored for endpoint default"}},
		{name: "secrets not read", all: []Endpoint{whole("we_1")}, k: func(k *Known) { k.Stored, k.Read = nil, false },
			want: Plan{Action: ActionNothing, Endpoint: "we_1"}, says: []string{"note we_1 the stored secrets could not be read"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w, k := wanted(), ok()
			if c.w != nil {
				c.w(&w)
			}
			if c.k != nil {
				c.k(&k)
			}
			got := Make(w, c.all, k)
			if d := cmp.Diff(c.want, got, cmpopts.IgnoreFields(Plan{}, "Wanted", "Findings"), cmpopts.IgnoreUnexported(Plan{})); d != "" {
				t.Errorf("plan (-want +got):\n%s", d)
			}
			trouble := got.Action != ActionNothing || len(got.Delete) > 0
			for i, f := range got.Findings {
				text := strings.ReplaceAll(fmt.Sprintf("%s %s %s", f.Level, f.Endpoint, f.What), "  ", " ")
				if i >= len(c.says) || !strings.HasPrefix(text, c.says[i]) {
					t.Errorf("finding %d is %q", i, text)
				}
				trouble = trouble || f.Level == Problem
			}
			if len(got.Findings) < len(c.says) {
				t.Errorf("%d findings, want %q", len(got.Findings), c.says)
			}
			if got.HasProblems() != trouble {
				t.Errorf("HasProblems is %v, want %v", got.HasProblems(), trouble)
			}
		})
	}
}

// A plan that is carried out leaves nothing to do: what it sets is what it compares.
func TestAnUpdatedEndpointNeedsNoUpdate(t *testing.T) {
	w := wanted()
	w.Events = append(w.Events, "invoiceitem.updated", "invoice.paid")
	p := Make(w, []Endpoint{whole("we_1", func(e *Endpoint) { e.Events = []string{"*"} })}, ok())
	if p.Action != ActionUpdate {
		t.Fatalf("action %s", p.Action)
	}
	again := Make(w, []Endpoint{whole("we_1", func(e *Endpoint) { e.Events = p.Wanted.Events })}, ok())
	if !again.UpToDate() {
		t.Errorf("after the update: %+v", again)
	}
}

func TestASecretIsNeverPrinted(t *testing.T) {
	s := NewSecret("whsec_SENSITIVE")
	type inner struct {
		hidden Secret
		Shown  Secret
	}
	v := inner{s, s}
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "secret", s, "in", v)
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "secret", s, "in", v)
	raw, err := json.Marshal(map[string]any{"a": s, "b": v, "c": &s})
	if err != nil {
		t.Fatal(err)
	}
	texts := []string{log.String(), string(raw)}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%T"} {
		texts = append(texts, fmt.Sprintf(verb, s), fmt.Sprintf(verb, v), fmt.Sprintf(verb, &v), fmt.Sprintf(verb, []Secret{s}))
	}
	for _, text := range texts {
		if strings.Contains(text, "SENSITIVE") || strings.Contains(text, fmt.Sprintf("%x", "SENSITIVE")) {
			t.Errorf("a secret is shown: %s", text)
		}
	}
	if s.Reveal() != "whsec_SENSITIVE" || (Secret{}).Reveal() != "" {
		t.Error("Reveal does not give the text")
	}
}
