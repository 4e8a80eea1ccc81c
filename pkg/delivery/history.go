package delivery

import (
	"errors"
	"strings"
	"time"

	"tollgate/pkg/outbox"
)

// A destination with a history has a list of its deliveries, in the order in which they were handed
// over. A place in it is the time of that, to the millisecond, and the message's id; places compare as
// texts.

// placeTime has a fixed width.
const placeTime = "2006-01-02T15:04:05.000Z"

// Place returns a delivery's place in its list.
func Place(messageKey string, at time.Time) string { return At(at) + "." + ID(messageKey) }

// At returns the place before all deliveries of a time.
func At(t time.Time) string { return t.UTC().Format(placeTime) }

// PlaceTime reads a place, or a time in RFC 3339.
func PlaceTime(place string) (time.Time, error) {
	if len(place) > len(placeTime) && place[len(placeTime)] == '.' {
		place = place[:len(placeTime)]
	}
	at, err := time.Parse(time.RFC3339, place)
	if err != nil || at.UTC().Year() > 9999 { // longer texts compare differently
		return time.Time{}, errors.New("neither a place in the list nor a time such as 2026-11-28T09:00:00Z")
	}
	return at, nil
}

// After reads a place, or a time in RFC 3339, and returns the place.
func After(text string) (string, error) {
	at, err := PlaceTime(text)
	if err != nil {
		return "", err
	}
	before := At(at)
	if strings.HasPrefix(text, before+".") && len(text) == len(Place("", at)) {
		return text, nil
	}
	return before, nil
}

// Query asks for a part of a destination's list.
type Query struct {
	Destination string
	After       string    // a place, or what [At] returns
	Until       time.Time // deliveries handed over later are left out
	Limit       int       // over 0
}

// Listed is a delivery in its destination's list.
type Listed struct {
	Job   Job
	Row   Row
	Place string
	At    time.Time // when it was handed over
}

// Of returns what is sent of a message, but for a whole event's body.
func Of(m outbox.Message, sequence int64) Delivery {
	return Delivery{ID: ID(m.Key), Message: m, Account: accountOf(m), Event: eventOf(m), Sequence: sequence}
}
