package registration

import (
	"cmp"
	"slices"
	"strings"
)

// Wanted is the endpoint that this system wants at Stripe.
type Wanted struct {
	Name       string   `json:"endpoint"`
	URL        string   `json:"url"`
	Events     []string `json:"events"`
	APIVersion string   `json:"api_version"`
	Connect    bool     `json:"connect"`
	Livemode   bool     `json:"livemode"`
	FakeStripe bool     `json:"-"` // it may deliver to loopback
}

// Action is what a plan does.
type Action string

// The actions. A plan with ActionRefuse has the reason in its findings.
const (
	ActionCreate  Action = "create"
	ActionUpdate  Action = "update"
	ActionNothing Action = "nothing"
	ActionRefuse  Action = "refuse"
)

// Plan has the changes that bring Stripe to what is wanted, and findings.
type Plan struct {
	Wanted   Wanted    `json:"wanted"`
	Action   Action    `json:"action"`
	Endpoint string    `json:"endpoint_id,omitempty"` // the one that serves: to update or to leave
	Enable   bool      `json:"enable,omitempty"`      // it is disabled
	Add      []string  `json:"add_events,omitempty"`
	Remove   []string  `json:"remove_events,omitempty"`
	Delete   []string  `json:"delete,omitempty"`   // ids of endpoints whose secret was never stored
	Replaces []string  `json:"replaces,omitempty"` // ids of others for the URL that still deliver; see Applier.Retire
	Findings []Finding `json:"findings"`

	refused bool
}

// UpToDate reports whether there is nothing to change.
func (p Plan) UpToDate() bool { return p.Action == ActionNothing && len(p.Delete) == 0 }

// HasProblems reports whether there is something to change or a finding is a problem.
func (p Plan) HasProblems() bool {
	return !p.UpToDate() || slices.ContainsFunc(p.Findings, func(f Finding) bool { return f.Level == Problem })
}

// Known has what is known besides Stripe's list.
type Known struct {
	Probe  *Probe   // what the URL answers; nil if it was not tried
	Stored []Secret // the endpoint's stored secrets
	Read   bool     // whether they could be read
}

// Make makes a plan. It is a pure function; all are the account's endpoints.
func Make(w Wanted, all []Endpoint, k Known) Plan {
	p := Plan{Wanted: w, Action: ActionNothing, Findings: []Finding{}}
	p.Wanted.Events = p.accepted(w.Events)
	var rest []Endpoint // of the same URL and accounts
	for _, e := range all {
		switch {
		case !sameURL(e.URL, w.URL):
		case e.unfinished():
			p.Delete = append(p.Delete, e.ID)
			p.problem(e.ID, "its secret was never stored: all its deliveries are refused", "endpoint apply deletes it")
		case e.Connect() != w.Connect:
			p.note(e.ID, "it delivers to the same URL, "+accounts(e.Connect()), "")
		default:
			rest = append(rest, e)
		}
	}
	serving, others := choose(rest, w.APIVersion)
	if serving != nil {
		p.compare(*serving)
		p.compareSecret(*serving, k)
	} else {
		p.Action = ActionCreate
		if len(all)-len(p.Delete) >= MaxEndpoints {
			p.refuse("the account has %d webhook endpoints, and Stripe allows %d", len(all), MaxEndpoints)
		}
	}
	p.compareOthers(serving, others)
	p.checkURL()
	p.checkProbe(k)
	if p.refused {
		p.Action = ActionRefuse
	}
	return p
}

// choose returns the endpoint that serves, nil for none, and the others. It prefers an
// enabled one, then one whose secret we stored, then the newest.
func choose(list []Endpoint, version string) (serving *Endpoint, others []Endpoint) {
	list = slices.Clone(list)
	rank := func(e Endpoint) int {
		switch {
		case e.APIVersion != version:
			return 3
		case e.Disabled:
			return 2
		case e.Metadata[MetaSecret] == "":
			return 1
		}
		return 0
	}
	slices.SortStableFunc(list, func(a, b Endpoint) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), b.Created.Compare(a.Created), strings.Compare(a.ID, b.ID))
	})
	if len(list) == 0 || list[0].APIVersion != version {
		return nil, list
	}
	return &list[0], list[1:]
}

// compare plans the changes of the endpoint that serves.
func (p *Plan) compare(e Endpoint) {
	p.Endpoint = e.ID
	p.Enable = e.Disabled
	p.Add = without(p.Wanted.Events, e.Events)
	p.Remove = without(e.Events, p.Wanted.Events)
	if p.Enable || len(p.Add)+len(p.Remove) > 0 {
		p.Action = ActionUpdate
	}
	if e.Disabled {
		p.problem(e.ID, "it is disabled: Stripe delivers nothing",
			"find out why, then endpoint apply; tollgate backfill fetches what was missed")
	}
	if slices.Contains(e.Events, "*") {
		p.problem(e.ID, "it takes every type (*), except those that Stripe sends only on request by name", "endpoint apply")
	} else if len(p.Add) > 0 {
		p.problem(e.ID, "it lacks types that have a handler: "+words(p.Add), "endpoint apply")
	}
	if extra := without(p.Remove, []string{"*"}); len(extra) > 0 {
		p.problem(e.ID, "it sends types that have no handler: "+words(extra), "endpoint apply")
	}
}

func (p *Plan) compareOthers(serving *Endpoint, others []Endpoint) {
	for _, e := range others {
		version := cmp.Or(e.APIVersion, "the account's default version")
		if e.Disabled {
			p.note(e.ID, "it is disabled, for the same URL, in "+version, "")
			continue
		}
		p.Replaces = append(p.Replaces, e.ID)
		switch {
		case serving == nil:
			p.problem(e.ID, "it delivers in "+version+", which cannot be changed", "endpoint apply creates another one")
		case e.APIVersion != p.Wanted.APIVersion:
			p.problem(e.ID, "it delivers the same events in "+version, "endpoint apply --retire "+e.ID+" when "+serving.ID+" is 24 hours old")
		default:
			p.problem(e.ID, "it is a duplicate of "+serving.ID+": every event comes twice", "endpoint apply --retire "+e.ID)
		}
	}
}

// compareSecret looks for the endpoint's secret among the stored ones.
func (p *Plan) compareSecret(e Endpoint, k Known) {
	mark := e.Metadata[MetaSecret]
	switch {
	case !k.Read:
		p.note(e.ID, "the stored secrets could not be read, so its own may be missing", "")
	case len(k.Stored) == 0:
		p.problem(e.ID, "no secret is stored for endpoint "+p.Wanted.Name+": every delivery is answered with an error",
			"store its secret with tollgate secret roll, or delete it in the Dashboard and apply")
	case mark == "":
		p.note(e.ID, "it was not created by this command, so its secret may be missing: its first delivery shows it", "")
	case !slices.ContainsFunc(k.Stored, func(s Secret) bool { return s.Fingerprint() == mark }):
		p.note(e.ID, "none of the stored secrets is the one that was stored for it: it was rolled by hand, or overwritten",
			"check whether deliveries are refused as no_match; tollgate secret roll stores a new one")
	}
}

// without returns the elements of a that are not in b, sorted.
func without(a, b []string) (only []string) {
	for _, s := range a {
		if !slices.Contains(b, s) {
			only = append(only, s)
		}
	}
	slices.Sort(only)
	return slices.Compact(only)
}
