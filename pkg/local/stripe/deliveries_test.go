package stripe

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stripe/stripe-go/v76/webhook"
)

// received is one request that a receiver got.
type received struct {
	at     time.Time
	url    string
	header http.Header
	body   []byte
}

// receiver is a webhook endpoint's end: a transport that answers without a network.
type receiver struct {
	mu     sync.Mutex
	got    []received
	answer func(n int, r *http.Request) (status int, err error) // nil for 200
}

func (r *receiver) RoundTrip(req *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	r.got = append(r.got, received{time.Now(), req.URL.String(), req.Header, body})
	n := len(r.got)
	r.mu.Unlock()
	status := 200
	if r.answer != nil {
		if status, err = r.answer(n, req); err != nil {
			return nil, err
		}
	}
	header := http.Header{}
	if status/100 == 3 {
		header.Set("Location", "http://elsewhere/")
	}
	return &http.Response{StatusCode: status, Header: header, Body: http.NoBody, Request: req}, nil
}

func (r *receiver) all() []received {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.got)
}

// local asks the fake Stripe without a network, as a bubble of synctest has none.
func local(t *testing.T, s *Fake, method, path, body string, headers ...string) []byte {
	t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer sk_test_1")
	r.Header.Set("Content-Type", formType)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	if w.Code != 200 {
		t.Fatalf("%s %s: %d %s", method, path, w.Code, w.Body)
	}
	return w.Body.Bytes()
}

func register(t *testing.T, s *Fake, form string, headers ...string) shown {
	t.Helper()
	var e shown
	check(t, json.Unmarshal(local(t, s, "POST", "/v1/webhook_endpoints", form, headers...), &e))
	return e
}

// inBubble runs a fake Stripe whose deliveries end at a receiver, in synctest's time.
func inBubble(t *testing.T, o Options, answer func(int, *http.Request) (int, error), f func(t *testing.T, s *Fake, r *receiver)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{answer: answer}
		o.Deliver.Transport = r
		s, err := Open(o)
		check(t, err)
		defer s.Close()
		f(t, s, r)
	})
}

func fails(int, *http.Request) (int, error) { return 500, nil }

const wantsAll = "url=http://receiver/hook&enabled_events[]=*"

// TestDeliveryOnTheWire is one delivery over real HTTP, looked at as a receiver does.
func TestDeliveryOnTheWire(t *testing.T) {
	arrived := make(chan received, 1)
	target := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		arrived <- received{time.Now(), r.Method + " " + r.URL.Path, r.Header, body}
	}))
	defer target.Close()
	s, url := open(t, Options{})
	e := createEndpoint(t, url, "url="+target.URL+"/hook&enabled_events[]=invoice.paid&api_version=2023-10-16")
	status, _, raw := do(t, "POST", url+"/_fake/events?deliver=true", bytes.NewReader(body("evt_a", "invoice.paid", "", 1)))
	if want := `{"id":"evt_a","remembered":true,"deliveries":1}`; status != 200 || string(raw) != want {
		t.Fatalf("%d %s, want %s", status, raw, want)
	}
	got := <-arrived
	if got.url != "POST /hook" || !bytes.Equal(got.body, body("evt_a", "invoice.paid", "", 1)) {
		t.Errorf("%s %s", got.url, got.body)
	}
	for name, want := range map[string]string{
		"User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)", "Content-Type": "application/json; charset=utf-8",
		"Cache-Control": "no-cache", "Accept": "*/*; q=0.5, application/xml",
	} {
		if got.header.Get(name) != want {
			t.Errorf("%s is %q, want %q", name, got.header.Get(name), want)
		}
	}
	header := got.header.Get("Stripe-Signature")
	if _, err := webhook.ConstructEvent(got.body, header, e.Secret); err != nil {
		t.Errorf("%s: %v", header, err)
	}
	if err := webhook.ValidatePayload(got.body, header, "whsec_other"); !errors.Is(err, webhook.ErrNoValidSignature) {
		t.Errorf("another secret: %v", err)
	}
	if strings.Count(header, ",v1=") != 1 || strings.Count(header, ",v0=") != 1 {
		t.Errorf("header of a test event: %s", header)
	}
	if list := waitAttempts(t, s, 1); len(list) != 1 || list[0].Event != "evt_a" || list[0].Endpoint != e.ID || list[0].Status != 200 {
		t.Errorf("attempts %+v", list)
	}
}

func attemptsOf(t *testing.T, s *Fake) []attempt {
	t.Helper()
	var l struct{ Data []attempt }
	check(t, json.Unmarshal(local(t, s, "GET", "/_fake/deliveries", ""), &l))
	return l.Data
}

// waitAttempts returns the attempts once there are n.
func waitAttempts(t *testing.T, s *Fake, n int) []attempt {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); <-tick.C {
		if list := attemptsOf(t, s); len(list) >= n {
			return list
		}
	}
	t.Fatalf("attempts %+v, want %d", attemptsOf(t, s), n)
	return nil
}

func TestDeliveriesStayOnThisMachine(t *testing.T) {
	s, url := open(t, Options{})
	createEndpoint(t, url, "url=http://192.0.2.1/hook&enabled_events[]=*")
	createEndpoint(t, url, "url=http://example.com/hook&enabled_events[]=*")
	do(t, "POST", url+"/_fake/events?deliver=true", bytes.NewReader(body("evt_a", "invoice.paid", "", 1)))
	for _, a := range waitAttempts(t, s, 2) {
		if a.Status != 0 || !strings.Contains(a.Error, "this machine only") {
			t.Errorf("%+v", a)
		}
	}
}

func TestWhichEndpointsGetAnEvent(t *testing.T) {
	endpoints := map[string]struct{ form, account string }{
		"all":       {form: "enabled_events[]=*"},
		"paid":      {form: "enabled_events[]=charge.failed&enabled_events[]=invoice.paid"},
		"other":     {form: "enabled_events[]=charge.failed"},
		"connect":   {form: "enabled_events[]=*&connect=true"},
		"connected": {form: "enabled_events[]=*", account: "acct_1"},
		"disabled":  {form: "enabled_events[]=*"},
		"deleted":   {form: "enabled_events[]=*"},
	}
	tests := []struct {
		name string
		body []byte
		want []string
	}{
		{"own", body("evt_1", "invoice.paid", "", 1), []string{"all", "paid"}},
		{"of another type", body("evt_1", "invoice.voided", "", 1), []string{"all"}},
		{"of an account", body("evt_1", "invoice.paid", "acct_1", 1), []string{"connect", "connected"}},
		{"of another account", body("evt_1", "invoice.paid", "acct_2", 1), []string{"connect"}},
		{"of live mode", bytes.Replace(body("evt_1", "invoice.paid", "", 1), []byte("{"), []byte(`{"livemode":true,`), 1), []string{"all", "paid"}},
		{"thin", thinBody("evt_1", "", "2026-11-18T00:00:00Z"), nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, Options{}, nil, func(t *testing.T, s *Fake, r *receiver) {
				ids := map[string]string{}
				for name, e := range endpoints {
					ids[name] = register(t, s, "url=http://"+name+"/&"+e.form, "Stripe-Account", e.account).ID
				}
				local(t, s, "POST", "/v1/webhook_endpoints/"+ids["disabled"], "disabled=true")
				local(t, s, "DELETE", "/v1/webhook_endpoints/"+ids["deleted"], "")
				answer := local(t, s, "POST", "/_fake/events?deliver=true", string(tt.body))
				if want := fmt.Sprintf(`"deliveries":%d}`, len(tt.want)); !strings.HasSuffix(string(answer), want) {
					t.Errorf("answer %s, want %s", answer, want)
				}
				synctest.Wait()
				var got []string
				for _, each := range r.all() {
					got = append(got, strings.Trim(strings.TrimPrefix(each.url, "http://"), "/"))
				}
				slices.Sort(got)
				if !slices.Equal(got, tt.want) {
					t.Errorf("went to %v, want %v", got, tt.want)
				}
			})
		})
	}
}

func TestFailedDeliveriesAreTriedAgain(t *testing.T) {
	tests := []struct {
		name  string
		live  bool
		scale int
		want  []time.Duration // after the first attempt
	}{
		{"test mode", false, 1, []time.Duration{30 * time.Minute, 90 * time.Minute, 210 * time.Minute}},
		{"live mode", true, 1, []time.Duration{
			5 * time.Minute, 15 * time.Minute, 35 * time.Minute, 75 * time.Minute, 155 * time.Minute, 315 * time.Minute, 635 * time.Minute, 1275 * time.Minute,
			1995 * time.Minute, 2715 * time.Minute, 3435 * time.Minute, 4155 * time.Minute, // three days are 4320
		}},
		{"scaled", false, 60, []time.Duration{30 * time.Second, 90 * time.Second, 210 * time.Second}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, Options{DeliveryScale: tt.scale}, fails, func(t *testing.T, s *Fake, r *receiver) {
				e := register(t, s, wantsAll)
				given := body("evt_a", "invoice.paid", "", 1)
				if tt.live {
					given = bytes.Replace(given, []byte("{"), []byte(`{"livemode":true,`), 1)
				}
				local(t, s, "POST", "/_fake/events?deliver=true", string(given))
				time.Sleep(10 * 24 * time.Hour)
				synctest.Wait()
				got := r.all()
				var after []time.Duration
				for i, each := range got {
					if i > 0 {
						after = append(after, each.at.Sub(got[0].at))
					}
					header := each.header.Get("Stripe-Signature")
					if !strings.HasPrefix(header, fmt.Sprintf("t=%d,", each.at.Unix())) {
						t.Errorf("attempt %d at %d is signed %s", i, each.at.Unix(), header)
					}
					if err := webhook.ValidatePayloadIgnoringTolerance(each.body, header, e.Secret); err != nil {
						t.Errorf("attempt %d: %v", i, err)
					}
					if hasV0 := strings.Contains(header, "v0="); hasV0 == tt.live {
						t.Errorf("attempt %d is signed %s", i, header)
					}
				}
				if diff := cmp.Diff(tt.want, after); diff != "" {
					t.Error(diff)
				}
				if n := s.deliveries.pending; n != 0 {
					t.Errorf("%d deliveries are still pending", n)
				}
			})
		})
	}
}

func TestWhatCountsAsDelivered(t *testing.T) {
	unreachable := errors.New("connection refused")
	tests := []struct {
		name     string
		status   int
		err      error
		attempts int
	}{
		{"200", 200, nil, 1},
		{"204", 204, nil, 1},
		{"299", 299, nil, 1},
		{"redirect", 302, nil, 4},
		{"not modified", 304, nil, 4},
		{"400", 400, nil, 4},
		{"410", 410, nil, 4},
		{"503", 503, nil, 4},
		{"unreachable", 0, unreachable, 4},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, Options{}, func(int, *http.Request) (int, error) { return tt.status, tt.err }, func(t *testing.T, s *Fake, r *receiver) {
				register(t, s, wantsAll)
				local(t, s, "POST", "/_fake/events?deliver=true", string(body("evt_a", "invoice.paid", "", 1)))
				time.Sleep(24 * time.Hour)
				synctest.Wait()
				list := attemptsOf(t, s)
				if len(r.all()) != tt.attempts || len(list) != tt.attempts || list[0].Status != tt.status || (list[0].Error != "") != (tt.err != nil) {
					t.Errorf("%d requests, want %d; attempts %+v", len(r.all()), tt.attempts, list)
				}
			})
		})
	}
}

// TestSlowReceiverTimesOut: an attempt ends after ten seconds, and is tried again.
func TestSlowReceiverTimesOut(t *testing.T) {
	hang := func(n int, r *http.Request) (int, error) {
		if n > 1 {
			return 200, nil
		}
		<-r.Context().Done()
		return 0, r.Context().Err()
	}
	inBubble(t, Options{}, hang, func(t *testing.T, s *Fake, r *receiver) {
		register(t, s, wantsAll)
		local(t, s, "POST", "/_fake/events?deliver=true", string(body("evt_a", "invoice.paid", "", 1)))
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		got := r.all()
		if len(got) != 2 || got[1].at.Sub(got[0].at) != 10*time.Second+30*time.Minute {
			t.Errorf("%d attempts: %+v", len(got), attemptsOf(t, s))
		}
	})
}

func TestDisabledAndDeletedEndpointsGetNoRetry(t *testing.T) {
	tests := []struct {
		name   string
		change func(t *testing.T, s *Fake, id string) // between the first and the second attempt
		want   int
	}{
		{"nothing happens", func(*testing.T, *Fake, string) {}, 4},
		{"disabled", func(t *testing.T, s *Fake, id string) {
			local(t, s, "POST", "/v1/webhook_endpoints/"+id, "disabled=true")
		}, 1},
		{"deleted", func(t *testing.T, s *Fake, id string) {
			local(t, s, "DELETE", "/v1/webhook_endpoints/"+id, "")
		}, 1},
		{"disabled and enabled again in time", func(t *testing.T, s *Fake, id string) {
			local(t, s, "POST", "/v1/webhook_endpoints/"+id, "disabled=true")
			time.Sleep(time.Minute)
			local(t, s, "POST", "/v1/webhook_endpoints/"+id, "disabled=false")
		}, 4},
		{"enabled again too late", func(t *testing.T, s *Fake, id string) {
			local(t, s, "POST", "/v1/webhook_endpoints/"+id, "disabled=true")
			time.Sleep(time.Hour)
			local(t, s, "POST", "/v1/webhook_endpoints/"+id, "disabled=false")
		}, 1},
		{"closed", func(t *testing.T, s *Fake, id string) { s.Close() }, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, Options{}, fails, func(t *testing.T, s *Fake, r *receiver) {
				e := register(t, s, wantsAll)
				local(t, s, "POST", "/_fake/events?deliver=true", string(body("evt_a", "invoice.paid", "", 1)))
				synctest.Wait()
				tt.change(t, s, e.ID)
				time.Sleep(24 * time.Hour)
				synctest.Wait()
				if got := len(r.all()); got != tt.want {
					t.Errorf("%d attempts, want %d", got, tt.want)
				}
			})
		})
	}
}

func TestURLIsThatOfTheMoment(t *testing.T) {
	inBubble(t, Options{}, fails, func(t *testing.T, s *Fake, r *receiver) {
		e := register(t, s, wantsAll)
		local(t, s, "POST", "/_fake/events?deliver=true", string(body("evt_a", "invoice.paid", "", 1)))
		synctest.Wait()
		local(t, s, "POST", "/v1/webhook_endpoints/"+e.ID, "url=http://moved/")
		time.Sleep(time.Hour)
		if got := r.all(); len(got) != 2 || got[1].url != "http://moved/" {
			t.Errorf("%+v", got)
		}
	})
}

func TestPendingWebhooksCountDown(t *testing.T) {
	// The first endpoint takes the event at once, the second the second time.
	answer := func(_ int, r *http.Request) (int, error) {
		if r.URL.Host == "late" {
			return 500, nil
		}
		return 200, nil
	}
	inBubble(t, Options{}, answer, func(t *testing.T, s *Fake, r *receiver) {
		register(t, s, "url=http://early/&enabled_events[]=*")
		late := register(t, s, "url=http://late/&enabled_events[]=*")
		given := bytes.Replace(body("evt_a", "invoice.paid", "", 1), []byte("{"), []byte(`{"pending_webhooks": 7,`), 1)
		pending := func() (n int) {
			var e struct {
				Pending int `json:"pending_webhooks"`
			}
			check(t, json.Unmarshal(local(t, s, "GET", "/v1/events/evt_a", ""), &e))
			return e.Pending
		}
		var got []int
		local(t, s, "POST", "/_fake/events", string(given))
		got = append(got, pending()) // as given
		local(t, s, "POST", "/_fake/events?deliver=true", string(given))
		synctest.Wait()
		got = append(got, pending())
		local(t, s, "POST", "/v1/webhook_endpoints/"+late.ID, "url=http://early/")
		time.Sleep(time.Hour)
		synctest.Wait()
		got = append(got, pending())
		if diff := cmp.Diff([]int{7, 1, 0}, got); diff != "" {
			t.Error(diff)
		}
	})
}

// TestKnownEventIsDeliveredAgain: the body is the first one's, whatever comes with its id.
func TestKnownEventIsDeliveredAgain(t *testing.T) {
	inBubble(t, Options{}, nil, func(t *testing.T, s *Fake, r *receiver) {
		register(t, s, wantsAll)
		first := body("evt_a", "invoice.paid", "", 1)
		local(t, s, "POST", "/_fake/events?deliver=true", string(first))
		raw := local(t, s, "POST", "/_fake/events?deliver=true", string(body("evt_a", "invoice.paid", "", 99)))
		synctest.Wait()
		if got := r.all(); len(got) != 2 || !bytes.Equal(got[1].body, first) || string(raw) != `{"id":"evt_a","remembered":false,"deliveries":1}` {
			t.Errorf("%d deliveries, %s", len(got), raw)
		}
	})
}

func TestRolledSecretsSignTogether(t *testing.T) {
	inBubble(t, Options{}, nil, func(t *testing.T, s *Fake, r *receiver) {
		e := register(t, s, wantsAll)
		roll := func(expire int) string {
			var answer struct {
				ID, Secret string
				Until      int64 `json:"previous_expires_at"`
			}
			raw := local(t, s, "POST", "/_fake/webhook_endpoints/"+e.ID+"/roll", fmt.Sprintf(`{"expire_s":%d}`, expire))
			if err := json.Unmarshal(raw, &answer); err != nil || answer.ID != e.ID || expire > 0 && answer.Until != time.Now().Unix()+int64(expire) {
				t.Fatalf("%v: %s", err, raw)
			}
			return answer.Secret
		}
		n := 0
		signedBy := func(secrets map[string]string) (names []string) {
			n++
			local(t, s, "POST", "/_fake/events?deliver=true", string(body(fmt.Sprint("evt_", n), "invoice.paid", "", 1)))
			synctest.Wait()
			got := r.all()
			last := got[len(got)-1]
			header := last.header.Get("Stripe-Signature")
			for name, secret := range secrets {
				if webhook.ValidatePayload(last.body, header, secret) == nil {
					names = append(names, name)
				}
			}
			if strings.Count(header, "v1=") != len(names) {
				t.Errorf("%d signatures verify of %s", len(names), header)
			}
			slices.Sort(names)
			return names
		}
		secrets := map[string]string{"a": e.Secret}
		step := func(what string, want ...string) {
			t.Helper()
			if got := signedBy(secrets); !slices.Equal(got, want) {
				t.Errorf("%s: signed by %v, want %v", what, got, want)
			}
		}
		step("at first", "a")
		secrets["b"] = roll(3600)
		step("rolled", "a", "b")
		time.Sleep(59 * time.Minute)
		secrets["c"] = roll(3600)
		step("rolled again", "a", "b", "c")
		time.Sleep(time.Minute)
		step("the first has ended", "b", "c")
		secrets["d"] = roll(0)
		step("rolled at once", "d")
	})
}

func TestLuckOfDeliveries(t *testing.T) {
	const events = 400
	deliver := func(t *testing.T, order string) (late, withheld []string) {
		inBubble(t, Options{}, nil, func(t *testing.T, s *Fake, r *receiver) {
			register(t, s, wantsAll)
			local(t, s, "POST", "/_fake/faults", order)
			start := time.Now()
			for i := range events {
				local(t, s, "POST", "/_fake/events?deliver=true", string(body(fmt.Sprintf("evt_%03d", i), "invoice.paid", "", 1)))
			}
			time.Sleep(time.Hour)
			synctest.Wait()
			for _, a := range attemptsOf(t, s) {
				switch after := a.At.Sub(start); {
				case a.Withheld:
					withheld = append(withheld, a.Event)
				case after == 90*time.Second:
					late = append(late, a.Event)
				case after != 0:
					t.Errorf("%s came after %v", a.Event, after)
				}
			}
			if got := len(r.all()) + len(withheld); got != events {
				t.Errorf("%d of %d events are accounted for", got, events)
			}
			if raw := local(t, s, "GET", "/v1/events/evt_000", ""); len(raw) == 0 {
				t.Error("a withheld event is not at Stripe")
			}
		})
		slices.Sort(late)
		return late, withheld
	}
	const order = `{"withhold_percent":10,"late_percent":20,"late_ms":90000,"seed":%d}`
	late, withheld := deliver(t, fmt.Sprintf(order, 1))
	if n := len(withheld); n < events/20 || n > events/5 {
		t.Errorf("%d of %d withheld, want about a tenth", n, events)
	}
	if n := len(late); n < events/10 || n > events*3/10 {
		t.Errorf("%d of %d late, want about a fifth", n, events)
	}
	lateAgain, withheldAgain := deliver(t, fmt.Sprintf(order, 1))
	if !slices.Equal(late, lateAgain) || !slices.Equal(withheld, withheldAgain) {
		t.Error("the same seed picked other events")
	}
	if _, other := deliver(t, fmt.Sprintf(order, 2)); slices.Equal(withheld, other) {
		t.Error("another seed picked the same events")
	}
	if late, withheld := deliver(t, `{"withhold_percent":0}`); len(late)+len(withheld) != 0 {
		t.Errorf("%d late, %d withheld without random faults", len(late), len(withheld))
	}
	if _, withheld := deliver(t, `{"withhold_percent":100}`); len(withheld) != events {
		t.Errorf("%d withheld of all", len(withheld))
	}
}

func TestDeliveriesAreBounded(t *testing.T) {
	var mu sync.Mutex
	under, most := 0, 0
	slow := func(int, *http.Request) (int, error) {
		mu.Lock()
		under++
		most = max(most, under)
		mu.Unlock()
		time.Sleep(time.Second)
		mu.Lock()
		defer mu.Unlock()
		under--
		return 200, nil
	}
	o := Options{Deliver: DeliverOptions{Concurrency: 3, MaxPending: 2*maxEndpoints + 9}}
	inBubble(t, o, slow, func(t *testing.T, s *Fake, r *receiver) {
		register(t, s, wantsAll)
		status := 0
		for i := range 11 {
			req := httptest.NewRequest("POST", "/_fake/events?deliver=true", bytes.NewReader(body(fmt.Sprint("evt_", i), "invoice.paid", "", 1)))
			req.SetBasicAuth("sk_test_1", "")
			w := httptest.NewRecorder()
			s.ServeHTTP(w, req)
			status = w.Code
		}
		if status != 503 || stored(t, s, "evt_10") != nil || stored(t, s, "evt_9") == nil {
			t.Errorf("one too many is answered %d", status)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := len(r.all()); n != 10 || most != 3 {
			t.Errorf("%d delivered, %d at once, want 10 and 3", n, most)
		}
	})
}

func TestCloseEndsAnAttemptUnderWay(t *testing.T) {
	hang := func(_ int, r *http.Request) (int, error) {
		<-r.Context().Done()
		return 0, r.Context().Err()
	}
	inBubble(t, Options{}, hang, func(t *testing.T, s *Fake, r *receiver) {
		register(t, s, wantsAll)
		local(t, s, "POST", "/_fake/events?deliver=true", string(body("evt_a", "invoice.paid", "", 1)))
		synctest.Wait()
		start := time.Now()
		if err := s.Close(); err != nil || time.Since(start) != 0 {
			t.Errorf("closed after %v (%v)", time.Since(start), err)
		}
		if _, err := s.remember(body("evt_b", "invoice.paid", "", 1), true); err == nil {
			t.Error("an event is taken after the end")
		}
		synctest.Wait()
		if n := len(r.all()); n != 1 {
			t.Errorf("%d attempts, some after the end", n)
		}
	})
}
