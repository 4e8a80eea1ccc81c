package event_test

import (
	"regexp"

	"tollgate/pkg/event"
)

// small is the least that encoding/json would have to decode.
type small struct {
	ID         string `json:"id"`
	Object     string `json:"object"`
	Type       string `json:"type"`
	Account    string `json:"account"`
	Context    string `json:"context"`
	Livemode   bool   `json:"livemode"`
	APIVersion string `json:"api_version"`
	Created    int64  `json:"created"`
	Data       struct {
		Object struct {
			ID string `json:"id"`
		} `json:"object"`
	} `json:"data"`
}

func (s small) envelope() event.Envelope {
	from := event.FromAccount
	if s.Account == "" && s.Context != "" {
		from, s.Account = event.FromContext, s.Context
		if account := regexp.MustCompile(`^(?:.*/)?(acct_[^/]+)$`).FindStringSubmatch(s.Context); account != nil {
			s.Account = account[1]
		}
	}
	return event.Envelope{
		AccountFrom: from, ID: s.ID, Object: s.Object, Type: s.Type, Account: s.Account, Livemode: s.Livemode,
		APIVersion: s.APIVersion, Created: s.Created, ObjectID: s.Data.Object.ID,
	}
}
