package stripe

import (
	"net/http"
	"slices"
	"time"
)

// maxAttempts bounds how many attempts are kept; the oldest are dropped first.
const maxAttempts = 10_000

// attempt is one try to deliver an event, or a note that the event was withheld.
type attempt struct {
	Event    string    `json:"event"`
	Endpoint string    `json:"endpoint"`
	Status   int       `json:"status"` // 0 when no answer came
	At       time.Time `json:"at"`     // when it was signed
	Error    string    `json:"error,omitempty"`
	Withheld bool      `json:"withheld,omitempty"` // on request, nothing was sent
}

func (a attempt) succeeded() bool {
	return a.Status >= 200 && a.Status < 300
}

// note records an attempt.
func (d *deliverer) note(a attempt) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.log) == maxAttempts {
		d.log = slices.Delete(d.log, 0, maxAttempts/10)
	}
	d.log = append(d.log, a)
}

// listAttempts serves the attempts, of one event or to one endpoint if asked.
func (s *Fake) listAttempts(r *http.Request) ([]byte, *apiError) {
	if err := onlyQuery(r, "event", "endpoint"); err != nil {
		return nil, err
	}
	v := r.URL.Query()
	fits := func(wanted, value string) bool { return wanted == "" || wanted == value }
	found := []attempt{}
	s.deliveries.mu.Lock()
	defer s.deliveries.mu.Unlock()
	for _, a := range s.deliveries.log {
		if fits(v.Get("event"), a.Event) && fits(v.Get("endpoint"), a.Endpoint) {
			found = append(found, a)
		}
	}
	return control(map[string][]attempt{"data": found})
}
