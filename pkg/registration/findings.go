package registration

import (
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"tollgate/pkg/limits"
)

// Level is the severity of a finding.
type Level string

// The levels.
const (
	Note    Level = "note"
	Problem Level = "trouble"
)

// Finding is one observation.
type Finding struct {
	Level    Level  `json:"level"`
	Endpoint string `json:"endpoint_id,omitempty"` // "" for the system's own URL
	What     string `json:"what"`
	Fix      string `json:"do,omitempty"`
}

func (p *Plan) note(id, what, do string) {
	p.Findings = append(p.Findings, Finding{Note, id, what, do})
}

func (p *Plan) problem(id, what, do string) {
	p.Findings = append(p.Findings, Finding{Problem, id, what, do})
}

func (p *Plan) refuse(format string, args ...any) {
	p.refused = true
	p.problem("", fmt.Sprintf(format, args...), "")
}

// refusedTypes are in stripe-go v76 and refused by Stripe's API.
func refusedTypes() []string {
	return []string{
		"invoiceitem.updated", "order.created", "recipient.created", "recipient.deleted",
		"recipient.updated", "sku.created", "sku.deleted", "sku.updated",
	}
}

// accepted returns the types that Stripe accepts, each once, sorted.
func (p *Plan) accepted(types []string) []string {
	list := without(types, refusedTypes())
	if gone := without(types, list); len(gone) > 0 {
		p.note("", "handlers are registered for types that Stripe no longer sends: "+words(gone), "")
	}
	if len(list) == 0 {
		p.refuse("no type has a handler: nothing would be delivered")
	}
	return list
}

// checkURL refuses a URL to which Stripe cannot deliver.
func (p *Plan) checkURL() {
	w := p.Wanted
	u, err := url.Parse(w.URL)
	if err != nil || u.Host == "" || u.User != nil || u.Scheme != "https" && u.Scheme != "http" {
		p.refuse("%.200q is not a URL that Stripe can deliver to", w.URL)
		return
	}
	if w.FakeStripe {
		return
	}
	if u.Scheme == "http" {
		if w.Livemode {
			p.refuse("Stripe delivers live events over https only, not to %s", u.Redacted())
			return
		}
		p.note("", "the URL is http: Stripe accepts that in test mode only", "")
	}
	if ip := net.ParseIP(u.Hostname()); u.Hostname() == "localhost" || ip != nil && (ip.IsLoopback() || ip.IsPrivate() || ip.IsUnspecified() || ip.IsLinkLocalUnicast()) {
		p.refuse("Stripe cannot reach %s: it is a private address", u.Host)
	}
	if path := Path(w.Name); u.Path != path {
		p.note("", fmt.Sprintf("the URL's path is %s, and endpoint %s is served at %s", u.Path, w.Name, path), "")
	}
}

// Path is where an endpoint is served.
func Path(name string) string {
	if name == defaultName {
		return limits.WebhookPath
	}
	return limits.WebhookPath + "/" + name
}

// defaultName is the endpoint whose name is not in its path.
const defaultName = "default"

// sameURL ignores the query, the case of the host and a default port.
func sameURL(a, b string) bool {
	x, errX := url.Parse(a)
	y, errY := url.Parse(b)
	if errX != nil || errY != nil {
		return a == b
	}
	return strings.EqualFold(x.Scheme, y.Scheme) && strings.EqualFold(hostOf(x), hostOf(y)) &&
		strings.TrimSuffix(x.Path, "/") == strings.TrimSuffix(y.Path, "/")
}

func hostOf(u *url.URL) string {
	if u.Scheme == "https" && u.Port() == "443" || u.Scheme == "http" && u.Port() == "80" {
		return u.Hostname()
	}
	return u.Host
}

// Probe is what the URL answered to a delivery without a signature.
type Probe struct {
	Status   int    // 0 when there was no answer
	Location string // where a redirect points
	Err      string // why there was no answer
}

func (p *Plan) checkProbe(k Known) {
	if k.Probe == nil || p.refused {
		return
	}
	a := *k.Probe
	switch {
	case a.Status == 0:
		p.problem("", "the URL does not answer: "+a.Err, "is it deployed, and may this machine reach it?")
	case a.Status == http.StatusBadRequest: // it asks for a signature
	case a.Status >= 300 && a.Status < 400:
		p.problem("", fmt.Sprintf("the URL redirects (%d to %.200s): Stripe follows no redirect and counts it as a failure", a.Status, a.Location),
			"register the URL that it redirects to")
	case a.Status == http.StatusForbidden:
		p.note("", "the URL answers 403: only listed sources may deliver, so it cannot be tried from here", "")
	case a.Status >= 500 && k.Read && len(k.Stored) == 0:
		p.note("", fmt.Sprintf("the URL answers %d, as it does until a secret is stored", a.Status), "")
	case a.Status < 300:
		p.problem("", fmt.Sprintf("the URL answers %d to a delivery without a signature: it is not this system", a.Status), "is the URL right?")
	default:
		p.problem("", fmt.Sprintf("the URL answers %d to a delivery without a signature, and should answer 400", a.Status), "is the URL right, and does the system run?")
	}
}

func accounts(connect bool) string {
	if connect {
		return "for connected accounts"
	}
	return "for the account's own events"
}

// words joins a list and shortens a long one.
func words(list []string) string {
	const shown = 8
	list = slices.Clone(list)
	if len(list) > shown {
		list = append(list[:shown], fmt.Sprintf("and %d more", len(list)-shown))
	}
	return strings.Join(list, ", ")
}
