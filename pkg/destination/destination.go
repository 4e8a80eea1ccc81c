// Package destination reads the configuration of the receivers that messages are sent to, and
// decides which of them takes a message. It is parsed by synth, by doctor and by the functions.
//
//	all, err := destination.Parse(text, destination.Deployed)
//	for _, d := range all.Matching("receipt", true, "") { … }
package destination

import (
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"tollgate/pkg/event"
)

// Type of a destination.
type Type string

const (
	HTTP        Type = "http"
	SQS         Type = "sqs"
	EventBridge Type = "eventbridge"
	SNS         Type = "sns"
	Email       Type = "email"
)

// Destination is one configured receiver.
type Destination struct {
	Name  string
	Type  Type
	Group string // destinations of a group share a queue; defaults to Name

	Messages []string // patterns of message names: a name, or a prefix and "*"
	Events   []string // patterns of Stripe's event types
	Livemode []bool   // modes that it takes; nil: both
	Accounts []string // accounts that it takes, "" for the platform's own; nil: all
	Whole    bool     // it takes whole events, not references
	History  bool     // its receiver may ask what was sent to it

	Rate        float64       // attempts a second
	Concurrency int           // attempts at once
	Timeout     time.Duration // of an attempt

	// HTTP
	URL          string
	Secret       string // name or ARN of the signing secret
	Headers      map[string]string
	Allow        []netip.Prefix // private networks that the URL may resolve to
	InsecureHTTP bool           // http is allowed; in the local system only

	Queue    string // SQS: its URL
	Bus      string // EventBridge: its ARN
	Source   string // EventBridge: of the entries
	Topic    string // SNS: its ARN
	From     string // Email: the sender's address
	To       string // Email: the business's address; "" sends it nothing
	Language string // Email: of the templates
}

// Set is all destinations by name.
type Set map[string]Destination

// Matching returns the destinations that take a message, by name.
func (s Set) Matching(message string, live bool, account string) (out []Destination) {
	for _, name := range slices.Sorted(maps.Keys(s)) {
		if d := s[name]; d.takes(message, live, account) {
			out = append(out, d)
		}
	}
	return out
}

// Forwards reports whether a destination takes the events of a type.
func (s Set) Forwards(eventType string, live bool, account string) bool {
	return len(s.Matching(event.ForwardedPrefix+eventType, live, account)) > 0
}

// HasHistory reports whether a destination has one.
func (s Set) HasHistory() bool {
	for _, d := range s {
		if d.History {
			return true
		}
	}
	return false
}

// EventTypes returns the event types that are named without a wildcard, sorted.
func (s Set) EventTypes() []string {
	types := map[string]bool{}
	for _, d := range s {
		for _, p := range d.Events {
			if !strings.HasSuffix(p, "*") {
				types[p] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(types))
}

// Groups returns one destination of each group, by group: their limits are equal.
func (s Set) Groups() map[string]Destination {
	groups := map[string]Destination{}
	for _, d := range s {
		groups[d.Group] = d
	}
	return groups
}

func (d Destination) takes(message string, live bool, account string) bool {
	patterns := d.Messages
	if eventType, forwarded := strings.CutPrefix(message, event.ForwardedPrefix); forwarded {
		patterns, message = d.Events, eventType
	}
	return slices.ContainsFunc(patterns, func(p string) bool { return fits(p, message) }) && d.TakesFrom(live, account)
}

// TakesFrom reports whether the destination takes messages of a mode and an account.
func (d Destination) TakesFrom(live bool, account string) bool {
	return (d.Livemode == nil || slices.Contains(d.Livemode, live)) &&
		(d.Accounts == nil || slices.Contains(d.Accounts, account))
}

func fits(pattern, name string) bool {
	prefix, wildcard := strings.CutSuffix(pattern, "*")
	return wildcard && strings.HasPrefix(name, prefix) || pattern == name
}
