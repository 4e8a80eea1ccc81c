package config

import (
	"errors"
	"net/netip"
	"net/url"
	"strings"

	"tollgate/pkg/destination"
)

// Sender is the sender function's configuration.
type Sender struct {
	Common
	Table          string
	Sending        Sending
	APIKeySecretID string // "" without a key
	StripeURL      string // "" for Stripe's own URL
	Concurrency    int    // processes that run at once at most, and share the rate limit of Stripe's account
	MailDir        string // mails are written into this folder instead of sent; in the local system only
}

// Sending are the destinations and where their jobs are queued.
type Sending struct {
	Destinations destination.Set // empty: messages are sent to none
	DLQURL       string          // of deliveries, "" without destinations
}

// sendDead ends the name of the dead-letter queue of deliveries. The queue of a group has the
// group's name instead of its last word.
const (
	sendQueue = "-send-"
	sendDead  = sendQueue + "dead"
)

// QueueURL returns the URL of a group's queue.
func (s Sending) QueueURL(group string) string {
	return strings.TrimSuffix(s.DLQURL, sendDead) + sendQueue + group
}

// Group returns the group whose queue has an ARN or URL, "" for another queue.
func (s Sending) Group(queue string) string {
	name := func(queue string) string { return queue[strings.LastIndexAny(queue, ":/")+1:] }
	group, found := strings.CutPrefix(name(queue), strings.TrimSuffix(name(s.DLQURL), "dead"))
	if _, known := s.Destinations.Groups()[group]; !found || !known {
		return ""
	}
	return group
}

// Local reports whether the services of this configuration are those of the local system.
func (a AWS) Local() bool {
	u, err := url.Parse(a.EndpointSQS)
	if err != nil || u.Host == "" {
		return false
	}
	ip, err := netip.ParseAddr(u.Hostname())
	return err == nil && ip.IsLoopback() || u.Hostname() == "localhost"
}

// place is where destinations are reached from.
func (a AWS) place() destination.Place {
	if a.Local() {
		return destination.Local
	}
	return destination.Deployed
}

// LoadSender reads the sender function's environment.
func LoadSender(lookup Lookup) (Sender, error) {
	r := reader{lookup: lookup}
	c := Sender{
		Common:         r.common(),
		Table:          r.text("TOLLGATE_TABLE", required, "the name of the table of records"),
		APIKeySecretID: r.text("TOLLGATE_API_KEY_SECRET_ID", optional, ""),
		StripeURL:      r.url("TOLLGATE_STRIPE_URL", optional, "the URL of Stripe's API"),
		MailDir:        r.text("TOLLGATE_MAIL_DIR", optional, ""),
	}
	c.AWS.EndpointSNS = r.endpointURL("AWS_ENDPOINT_URL_SNS")
	c.AWS.EndpointEventBridge = r.endpointURL("AWS_ENDPOINT_URL_EVENTBRIDGE")
	c.AWS.EndpointSES = r.endpointURL("AWS_ENDPOINT_URL_SESV2")
	c.Sending = r.sending(c.AWS, required)
	c.Limits.StripeRate = r.stripeRate(c.Limits.StripeRate)
	c.Concurrency = r.number("TOLLGATE_CONCURRENCY", 1, 1, maxConcurrency)
	if c.MailDir != "" && !c.AWS.Local() {
		r.fault("TOLLGATE_MAIL_DIR", "is for the local system: mails would be written and not sent")
	}
	return c, r.err()
}

// sending reads destinations. They need the queues that they are sent from.
func (r *reader) sending(a AWS, n need) (s Sending) {
	const destinations, dead = "TOLLGATE_DESTINATIONS", "TOLLGATE_SEND_DLQ_URL"
	text := r.text(destinations, n, `the destinations, one JSON object by name: {"crm":{"type":"http",…}}`)
	var err error
	if s.Destinations, err = destination.Parse(text, a.place()); err != nil {
		for _, err := range unjoined(err) {
			r.fault(destinations, "is invalid: %v", err)
		}
	}
	if len(s.Destinations) == 0 {
		if text != "" && err == nil && n == required {
			r.fault(destinations, "has no destination")
		}
		return s
	}
	s.DLQURL = r.url(dead, required, "the URL of the dead-letter queue of deliveries")
	if s.DLQURL != "" && !strings.HasSuffix(s.DLQURL, sendDead) {
		r.fault(dead, "does not end in %s, from which the queues' URLs follow", sendDead)
	}
	return s
}

// ParseSending parses destinations in the form of TOLLGATE_DESTINATIONS, with their dead-letter
// queue.
func ParseSending(destinations, deadURL string, at destination.Place) (Sending, error) {
	all, err := destination.Parse(destinations, at)
	if err == nil && len(all) > 0 && !strings.HasSuffix(deadURL, sendDead) {
		err = errors.New("no URL of the dead-letter queue that ends in " + sendDead)
	}
	return Sending{all, deadURL}, err
}

// unjoined returns the errors that err joins, or err alone.
func unjoined(err error) []error {
	if all, ok := errors.AsType[interface {
		error
		Unwrap() []error
	}](err); ok {
		return all.Unwrap()
	}
	return []error{err}
}
