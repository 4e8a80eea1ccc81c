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
	FakeStripe bool     `json:"-"` // Stripe is one on this machine: it may deliver to loopback
}

// Action is what a plan does.
type Action string

// The actions. A plan with ActionRefuse says why in its findings.
const (
	ActionCreate  Action = "create"
	ActionUpdate  Action = "update"
	ActionNothing Action = "nothing"
	ActionRefuse  Action = "refuse"
)

// Plan is what brings Stripe to what is wanted, and what else was seen.
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

// Idle reports whether nothing is to be done.
func (p Plan) Idle() bool { return p.Action == ActionNothing && len(p.Delete) == 0 }

// Trouble reports whether anything is not as it should be.
func (p Plan) Trouble() bool {
	return !p.Idle() || slices.ContainsFunc(p.Findings, func(f Finding) bool { return f.Level == Trouble })
}

// Known is what was found out beside Stripe's list.
type Known struct {
	Probe  *Probe   // what the URL answers; nil when it was not asked
	Stored []Secret // the endpoint's stored secrets
	Read   bool     // whether they could be read
}

// Make compares. It is a function of its arguments alone; all are the account's endpoints.
func Make(w Wanted, all []Endpoint, k Known) Plan {
	p := Plan{Wanted: w, Action: ActionNothing, Findings: []Finding{}}
	p.Wanted.Events = p.accepted(w.Events)
	var rest []Endpoint // that deliver to the URL, for the same accounts
	for _, e := range all {
		switch {
		case !sameURL(e.URL, w.URL):
		case e.unfinished():
			p.Delete = append(p.Delete, e.ID)
			p.trouble(e.ID, "it was made and its secret was never stored: all it delivers is refused", "endpoint apply deletes it")
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

// choose returns the endpoint that serves, nil for none, and the others. Of several it
// is one that is enabled, then one whose secret we stored, then the newest.
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

// compare notes what is to be changed on the endpoint that serves.
func (p *Plan) compare(e Endpoint) {
	p.Endpoint = e.ID
	p.Enable = e.Disabled
	p.Add = without(p.Wanted.Events, e.Events)
	p.Remove = without(e.Events, p.Wanted.Events)
	if p.Enable || len(p.Add)+len(p.Remove) > 0 {
		p.Action = ActionUpdate
	}
	if e.Disabled {
		p.trouble(e.ID, "it is disabled: Stripe delivers nothing of what happens meanwhile",
			"find out why, then endpoint apply; what was missed comes with tollgate backfill")
	}
	if slices.Contains(e.Events, "*") {
		p.trouble(e.ID, "it takes every type (*), and those that Stripe sends only when asked for by name not", "endpoint apply")
	} else if len(p.Add) > 0 {
		p.trouble(e.ID, "it lacks types that have a handler: "+words(p.Add), "endpoint apply")
	}
	if extra := without(p.Remove, []string{"*"}); len(extra) > 0 {
		p.trouble(e.ID, "it sends types that have no handler: "+words(extra), "endpoint apply")
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
			p.trouble(e.ID, "it delivers in "+version+", which cannot be changed", "endpoint apply makes another beside it")
		case e.APIVersion != p.Wanted.APIVersion:
			p.trouble(e.ID, "it delivers the same events in "+version, "endpoint apply --retire "+e.ID+" when "+serving.ID+" is 24 hours old")
		default:
			p.trouble(e.ID, "it is a duplicate of "+serving.ID+": every event comes twice", "endpoint apply --retire "+e.ID)
		}
	}
}

// compareSecret looks for the endpoint's secret among the stored ones.
func (p *Plan) compareSecret(e Endpoint, k Known) {
	mark := e.Metadata[MetaSecret]
	switch {
	case !k.Read:
		p.note(e.ID, "the stored secrets could not be read: whether its own is there is not known", "")
	case len(k.Stored) == 0:
		p.trouble(e.ID, "no secret is stored for endpoint "+p.Wanted.Name+": every delivery is answered with an error",
			"store its secret with tollgate secret roll, or delete it in the Dashboard and apply")
	case mark == "":
		p.note(e.ID, "it was not made by this command: whether its secret is stored shows when it delivers", "")
	case !slices.ContainsFunc(k.Stored, func(s Secret) bool { return s.Fingerprint() == mark }):
		p.note(e.ID, "none of the stored secrets is the one that was stored for it: it was rolled by hand, or overwritten",
			"see whether deliveries are refused as no_match; tollgate secret roll stores a new one")
	}
}

// without returns what of a is not in b, sorted.
func without(a, b []string) (only []string) {
	for _, s := range a {
		if !slices.Contains(b, s) {
			only = append(only, s)
		}
	}
	slices.Sort(only)
	return slices.Compact(only)
}
