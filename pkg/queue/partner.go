package queue

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"tollgate/pkg/event"
	"tollgate/pkg/members"
)

// PartnerSource starts the source of an event of Stripe's partner event bus; the id of Stripe's
// event destination follows.
const PartnerSource = "aws.partner/stripe.com/"

// PartnerEndpoint is the endpoint of events that come through EventBridge.
const PartnerEndpoint = "eventbridge"

// partnerVersion is the version of EventBridge's form.
const partnerVersion = "0"

// Members of EventBridge's form, by their place in partnerForm.
const (
	partnerFormVersion = iota
	partnerFormSource
	partnerFormTime
	partnerFormDetail
)

func partnerForm() []members.Member {
	return []members.Member{
		partnerFormVersion: {Name: "version"}, partnerFormSource: {Name: "source"},
		partnerFormTime: {Name: "time"}, partnerFormDetail: {Name: "detail"},
	}
}

// isPartner reports whether a message without a version of ours is an event of EventBridge.
func isPartner(body []byte, form []members.Member) bool {
	return members.Find(body, form) == nil && form[partnerFormDetail].IsObject()
}

// decodePartner reads an event as the stack's rule puts it into the queue: Stripe's event, as
// Stripe would sign it, is its detail.
func decodePartner(form []members.Member) (event.Envelope, error) {
	version, versionErr := form[partnerFormVersion].Text()
	source, sourceErr := form[partnerFormSource].Text()
	at, timeErr := form[partnerFormTime].Text()
	if err := errors.Join(versionErr, sourceErr, timeErr); err != nil {
		return event.Envelope{}, fmt.Errorf("%w: event of EventBridge: %w", ErrUndecodable, err)
	}
	e, err := event.Parse(form[partnerFormDetail].Raw)
	switch received, timeErr := time.Parse(time.RFC3339, at); {
	case version != partnerVersion:
		return event.Envelope{ID: e.ID, Type: e.Type}, fmt.Errorf("%w: event of EventBridge has version %+.40q, this reader knows %s", ErrNewer, version, partnerVersion)
	case !strings.HasPrefix(source, PartnerSource):
		return event.Envelope{}, fmt.Errorf("%w: event of EventBridge is not from Stripe", ErrUndecodable)
	case err != nil:
		return event.Envelope{}, fmt.Errorf("%w: event of EventBridge: %w", ErrUndecodable, err)
	case timeErr != nil:
		return event.Envelope{}, fmt.Errorf("%w: event of EventBridge has no time", ErrUndecodable)
	default:
		e.ReceivedAt = received.UTC()
	}
	e.Endpoint, e.Source, e.Body = PartnerEndpoint, event.EventBridge, form[partnerFormDetail].Raw
	return e, nil
}
