package delivery

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/event"
	"tollgate/pkg/outbox"
)

// jobVersion is the version of a job's form. A release that reads a new one is deployed before the
// release that writes it.
const jobVersion = 1

type jobForm struct {
	V           int    `json:"v"`
	Message     string `json:"message"`
	Destination string `json:"destination"`
}

// Encode returns the job as the body of a queue message.
func (j Job) Encode() string {
	raw, err := json.Marshal(jobForm{jobVersion, j.Message, j.Destination})
	if err != nil {
		panic(err) // three plain members
	}
	return string(raw)
}

// DecodeJob is the inverse of Encode. It ignores members that it does not know. Its errors quote
// no data.
func DecodeJob(body string) (Job, error) {
	var f jobForm
	switch err := json.Unmarshal([]byte(body), &f); {
	case err != nil:
		return Job{}, errors.New("job is not JSON of its form")
	case f.V != jobVersion:
		return Job{}, fmt.Errorf("job has version %d, want %d", f.V, jobVersion)
	case f.Message == "" || f.Destination == "":
		return Job{}, errors.New("job names no message or no destination")
	}
	return Job{f.Message, f.Destination}, nil
}

// wellFormed reports whether a message's key tells its mode and account.
func wellFormed(key string) bool {
	part := strings.SplitN(key, "#", 5)
	return len(part) == 5 && (part[2] == event.Mode(true) || part[2] == event.Mode(false)) && part[3] != ""
}

// accountOf returns the account in a message's key, "" for the platform's own.
func accountOf(m outbox.Message) string {
	if part := strings.SplitN(m.Key, "#", 5); len(part) == 5 && part[3] != "-" {
		return part[3]
	}
	return ""
}

// eventOf returns the event that a message forwards, nil for a handler's message.
func eventOf(m outbox.Message) *Event {
	if !strings.HasPrefix(m.Name, event.ForwardedPrefix) {
		return nil
	}
	text := func(name string) string { s, _ := m.Fields[name].(string); return s }
	return &Event{ID: text(dispatch.ForwardedEvent), Type: text(dispatch.ForwardedType), Object: text(dispatch.ForwardedObject)}
}

// numbered returns the object whose deliveries are numbered, within its mode and account.
func (d Delivery) numbered() string {
	if part := strings.SplitN(d.Message.Key, "#", 5); d.ObjectID() != "" && len(part) == 5 {
		return part[2] + "#" + part[3] + "#" + d.ObjectID()
	}
	return ""
}
