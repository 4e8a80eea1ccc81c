package stripe

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
)

// ask requests a path in the background; the answer's status comes when there is one.
func ask(ctx context.Context, s *Fake, path string) <-chan int {
	got := make(chan int, 1)
	go func() {
		r := httptest.NewRequestWithContext(ctx, http.MethodGet, path, nil)
		r.SetBasicAuth("sk_test_1", "")
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		got <- w.Code
	}()
	return got
}

// TestRequestsWaitForTheAnswer: a consumer may ask for what ingest has enqueued and not
// answered yet, and must not be told that Stripe does not know it.
func TestRequestsWaitForTheAnswer(t *testing.T) {
	sent := says("evt_1", "subscription.updated", 5, `{"id":"sub_1","object":"subscription","items":{"data":[]}}`)
	paths := []string{"/v1/events/evt_1", "/v1/subscriptions/sub_1", "/v1/subscription_items?subscription=sub_1"}
	for _, path := range paths {
		for accepted, want := range map[bool]int{true: 200, false: 404} {
			if want == 404 && path == paths[2] {
				want = 400
			}
			synctest.Test(t, func(t *testing.T) {
				s, err := Open(Options{})
				check(t, err)
				defer s.Close()
				settle := s.Expect(sent)
				other := s.Expect(sent) // a second delivery of the same event
				asked, unrelated := ask(t.Context(), s, path), ask(t.Context(), s, "/v1/customers/cus_1")
				leaving, leave := context.WithCancel(t.Context())
				left := ask(leaving, s, path)
				synctest.Wait()
				if len(asked) != 0 || len(unrelated) != 1 {
					t.Errorf("%s: asked %d and unrelated %d have answers, want the unrelated alone", path, len(asked), len(unrelated))
				}
				leave()
				synctest.Wait()
				if len(left) != 1 {
					t.Errorf("%s: whoever left still waits", path)
				}
				late := s.Expect(sent) // after the question
				check(t, settle(accepted))
				synctest.Wait()
				if len(asked) != 0 {
					t.Errorf("%s: answered before the second delivery", path)
				}
				other(false)
				if got := <-asked; got != want {
					t.Errorf("%s with accepted %v: %d, want %d", path, accepted, got, want)
				}
				late(false)
				if n := len(s.expected.byID); n != 0 {
					t.Errorf("%d expectations are left", n)
				}
			})
		}
	}
}

func TestNoEventIsExpectedOfOtherBytes(t *testing.T) {
	s, _ := open(t, Options{})
	if err := s.Expect([]byte("no event"))(true); err != nil || len(arrived(t, s)) != 0 {
		t.Errorf("error %v, %d events", err, len(arrived(t, s)))
	}
}
