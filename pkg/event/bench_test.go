package event_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"testing"

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

// sized returns an event of about n bytes in Stripe's layout, with a list of lines.
func sized(n int) []byte {
	var b bytes.Buffer
	b.WriteString(`{
  "id": "evt_1Tollgate0001",
  "object": "event",
  "api_version": "2023-10-16",
  "created": 1700000000,
  "data": {
    "object": {
      "id": "in_1Tollgate0001",
      "object": "invoice",
      "lines": [`)
	for i := 0; b.Len() < n; i++ {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `
        {
          "id": "il_%08d",
          "amount": %d,
          "description": "1 × Gold \"plus\" (at $5.00 / month)",
          "discountable": true,
          "metadata": {},
          "proration": false,
          "quantity": null
        }`, i, i*100)
	}
	b.WriteString(`
      ]
    }
  },
  "livemode": false,
  "type": "invoice.paid"
}`)
	return b.Bytes()
}

// BenchmarkParse compares Parse with encoding/json.
func BenchmarkParse(b *testing.B) {
	for _, size := range []int{3 << 10, 250 << 10} {
		body := sized(size)
		for name, parse := range map[string]func() error{
			"Parse":         func() error { _, err := event.Parse(body); return err },
			"encoding/json": func() error { return json.Unmarshal(body, new(small)) },
		} {
			b.Run(fmt.Sprintf("%s %dKB", name, size>>10), func(b *testing.B) {
				b.SetBytes(int64(len(body)))
				b.ReportAllocs()
				for b.Loop() {
					if err := parse(); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
