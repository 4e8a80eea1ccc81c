package stripeapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tollgate/pkg/dispatch"
)

var (
	subscriptions = bucketKey{account: "acct_1", resource: "subscriptions"}
	invoices      = bucketKey{account: "acct_1", resource: "invoices"}
	elsewhere     = bucketKey{account: "acct_2", resource: "subscriptions"}
)

var (
	ok       = answer{status: 200}
	tooFast  = answer{status: 429, limited: "endpoint-rate"}
	tooMany  = answer{status: 429, limited: "global-rate"}
	noReason = answer{status: 429, limited: "unknown"}
)

func newRates(processes float64) *limiter {
	return &limiter{all: 100, resource: 25, processes: processes, buckets: map[bucketKey]*bucket{}}
}

// ask makes a request and returns how long its turn took.
func ask(t *testing.T, l *limiter, k bucketKey, a answer) time.Duration {
	t.Helper()
	start := time.Now()
	turn, _, err := l.wait(t.Context(), k, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	turn.answered(a)
	return time.Since(start)
}

// hammer makes requests one after the other for a time, and returns how many there were in its
// last second.
func hammer(t *testing.T, l *limiter, k bucketKey, d time.Duration) (last int) {
	t.Helper()
	for start := time.Now(); time.Since(start) < d; {
		if ask(t, l, k, ok); time.Since(start) > d-time.Second {
			last++
		}
	}
	return last
}

func rateOf(l *limiter, k bucketKey) float64 {
	return float64(l.of(k, time.Now()).tokens.Limit())
}

// TestShare: of fifty processes each starts at a fiftieth of the budget, with one request.
func TestShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newRates(50)
		if first, second := ask(t, l, subscriptions, ok), ask(t, l, subscriptions, ok); first != 0 || second != 2*time.Second {
			t.Errorf("turns after %v and %v, want none and 2 s", first, second)
		}
	})
}

// TestGrowth: a process that is alone gets the whole budget, and no more, within a minute.
func TestGrowth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newRates(50)
		if last := hammer(t, l, subscriptions, time.Minute); last < 24 || last > 26 {
			t.Errorf("%d requests in the last second of a minute", last)
		}
		if last := hammer(t, l, subscriptions, 10*time.Minute); last < 24 || last > 26 || rateOf(l, subscriptions) != 25 {
			t.Errorf("%d requests in the last second of ten minutes, rate %v", last, rateOf(l, subscriptions))
		}
	})
}

// TestNoGrowthWithoutNeed: only a request that had to wait makes its process faster.
func TestNoGrowthWithoutNeed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newRates(50)
		waited := 0
		for i := range 100 {
			if i%10 > 0 {
				time.Sleep(3 * time.Second)
			}
			if ask(t, l, subscriptions, ok) > 0 {
				waited++
			}
		}
		if got, want := rateOf(l, subscriptions), 0.5+growth*float64(waited); waited == 0 || got > want+0.001 {
			t.Errorf("rate %v after %d requests that waited, want %v", got, waited, want)
		}
	})
}

// TestRefusals: which rates a 429 halves, and that it is once for requests under way together.
func TestRefusals(t *testing.T) {
	for name, tt := range map[string]struct {
		answer                answer
		resource, all, others float64
	}{
		"one resource": {tooFast, 12.5, 100, 25},
		"the account":  {tooMany, 25, 50, 25},
		"no reason":    {noReason, 12.5, 50, 25},
		"one object":   {answer{status: 429, limited: limitedObject}, 25, 100, 25},
		"Stripe fails": {answer{status: 503}, 25, 100, 25},
		"no answer":    {answer{}, 25, 100, 25},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newRates(1)
				ask(t, l, elsewhere, ok)
				ask(t, l, invoices, ok)
				time.Sleep(time.Second)
				var turns []*turn
				for range 5 {
					turn, _, err := l.wait(t.Context(), subscriptions, 0)
					if err != nil {
						t.Fatal(err)
					}
					turns = append(turns, turn)
				}
				time.Sleep(time.Second)
				for _, turn := range turns {
					turn.answered(tt.answer)
				}
				all := bucketKey{account: "acct_1"}
				if a, b, c, d := rateOf(l, subscriptions), rateOf(l, all), rateOf(l, invoices), rateOf(l, elsewhere); a != tt.resource || b != tt.all || c != tt.others || d != tt.others {
					t.Errorf("rates %v, account %v, other resource %v, other account %v", a, b, c, d)
				}
			})
		})
	}
}

// TestFloor: 429s without end leave a process a sixteenth of its share, from which it recovers.
func TestFloor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newRates(5)
		for range 20 {
			ask(t, l, subscriptions, tooFast)
		}
		if got := rateOf(l, subscriptions); got != 5.0/16 {
			t.Errorf("rate %v, want %v", got, 5.0/16)
		}
		if last := hammer(t, l, subscriptions, 5*time.Minute); last < 24 {
			t.Errorf("%d requests in the last second of five minutes without a 429", last)
		}
	})
}

// TestRest: a process that idled comes back at its share, whatever it had before.
func TestRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newRates(50)
		hammer(t, l, subscriptions, time.Minute)
		if time.Sleep(rest / 2); rateOf(l, subscriptions) < 20 {
			t.Errorf("rate %v after half of the rest", rateOf(l, subscriptions))
		}
		if time.Sleep(rest); rateOf(l, subscriptions) != 0.5 {
			t.Errorf("rate %v after the rest", rateOf(l, subscriptions))
		}
		for range 4 {
			ask(t, l, elsewhere, tooFast)
		}
		if time.Sleep(2 * rest); rateOf(l, elsewhere) != 0.5 {
			t.Errorf("rate %v long after a 429", rateOf(l, elsewhere))
		}
	})
}

// TestPause: Retry-After holds up the whole resource of that account, and nothing else.
func TestPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newRates(1)
		limited := tooFast
		limited.retryAfter = 20 * time.Second
		waiting := make(chan time.Duration, 1)
		first, _, err := l.wait(t.Context(), subscriptions, 0)
		if err != nil {
			t.Fatal(err)
		}
		for range 24 { // the next one has to wait
			ask(t, l, subscriptions, ok)
		}
		go func() { waiting <- ask(t, l, subscriptions, ok) }()
		synctest.Wait()
		first.answered(limited)
		if got := ask(t, l, elsewhere, ok); got != 0 {
			t.Errorf("another account waits for %v", got)
		}
		if got := ask(t, l, invoices, ok); got != 0 {
			t.Errorf("another resource waits for %v", got)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 8*time.Second)
		defer cancel()
		if _, after, err := l.wait(ctx, subscriptions, time.Second); !errors.Is(err, errTurn) || after != 20*time.Second {
			t.Errorf("without time for the pause: %v, %v", after, err)
		}
		if got := <-waiting; got < 20*time.Second || got > 21*time.Second {
			t.Errorf("a request that was waiting goes after %v", got)
		}
		if got := rateOf(l, subscriptions); got < 12.5 || got > 13 {
			t.Errorf("rate %v", got)
		}
	})
}

// TestPauseAndClock: a pause ends with the time of day, as the other clock stops while a process
// is frozen, and a clock that was set back does not prolong it by more than an hour.
func TestPauseAndClock(t *testing.T) {
	now := time.Now()
	b := &bucket{tokens: newRates(1).of(subscriptions, now).tokens, start: 25, most: 25}
	b.refuse(now, now, 200*time.Hour)
	for name, tt := range map[string]struct {
		at   time.Time
		want time.Duration
	}{
		"at once":            {now, maxPause},
		"half of it later":   {now.Add(maxPause / 2).Round(0), maxPause / 2},
		"later":              {now.Add(2 * maxPause).Round(0), 0},
		"set back by a day":  {now.Add(-24 * time.Hour).Round(0), 0},
		"set back by little": {now.Add(-time.Nanosecond).Round(0), 0},
	} {
		if got := b.pause(tt.at).Round(time.Millisecond); got != tt.want {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
	b.refuse(now.Add(-24*time.Hour).Round(0), now, time.Second)
	if got := b.pause(now.Add(-24 * time.Hour).Round(0)).Round(time.Millisecond); got != time.Second {
		t.Errorf("a new pause after the clock was set back is %v", got)
	}
}

// TestLateTurn: a request whose turn comes too late waits as long as it may, and says when.
func TestLateTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newRates(250) // a request in 10 s
		ask(t, l, subscriptions, ok)
		ctx, cancel := context.WithTimeout(t.Context(), 8*time.Second)
		defer cancel()
		start := time.Now()
		_, after, err := l.wait(ctx, subscriptions, time.Second)
		if !errors.Is(err, errTurn) || after != 10*time.Second || time.Since(start) != 7*time.Second {
			t.Errorf("%v, turn after %v, returned after %v", err, after, time.Since(start))
		}
		if got := ask(t, l, subscriptions, ok); got.Round(time.Millisecond) != 3*time.Second {
			t.Errorf("the turn was not given back: the next one comes after %v", got)
		}
		gone, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		start = time.Now()
		if _, _, err := l.wait(gone, subscriptions, time.Second); !errors.Is(err, context.Canceled) || time.Since(start) != time.Second {
			t.Errorf("cancelled: %v after %v", err, time.Since(start))
		}
	})
}

// TestBucketsAreBounded: many accounts do not fill the memory; a paused one is not forgotten.
func TestBucketsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newRates(50)
		limited := tooFast
		limited.retryAfter = time.Hour
		ask(t, l, subscriptions, limited)
		for i := range 3 * maxBuckets {
			ask(t, l, bucketKey{account: fmt.Sprint("acct_x", i), resource: "subscriptions"}, ok)
			time.Sleep(time.Millisecond)
		}
		if len(l.buckets) > maxBuckets {
			t.Errorf("%d buckets", len(l.buckets))
		}
		if l.of(subscriptions, time.Now()).pause(time.Now()) == 0 {
			t.Error("the pause was forgotten")
		}
	})
}

// TestWholeAccount: all resources together stay within the account's rate, which is four times a
// resource's in live mode.
func TestWholeAccount(t *testing.T) {
	for _, live := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			l := &limiter{resource: 25, processes: 1, buckets: map[bucketKey]*bucket{}}
			var asked [60]int
			var mu sync.Mutex
			var all sync.WaitGroup
			start := time.Now()
			for i := range 10 {
				all.Go(func() {
					for time.Since(start) < time.Minute {
						ask(t, l, bucketKey{"", fmt.Sprint("r", i), live}, ok)
						mu.Lock()
						asked[min(int(time.Since(start).Seconds()), 59)]++
						mu.Unlock()
					}
				})
			}
			all.Wait()
			want := 25
			if live {
				want = 100
			}
			if most := slices.Max(asked[2:59]); most > want+1 || most < want-1 {
				t.Errorf("live %v: up to %d requests a second, want %d", live, most, want)
			}
		})
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestRetryLater: what a 429 asks for, no turn, or a Stripe that is down, is an error that asks
// for a delay of at least that; a pause answers the next request without Stripe.
func TestRetryLater(t *testing.T) {
	for name, tt := range map[string]struct {
		header string
		want   time.Duration // of both errors; 0: none is asked for
	}{
		"an hour":                 {"3600", time.Hour},
		"a day":                   {"86400", 24 * time.Hour},
		"a date":                  {"Sat, 01 Jan 2000 00:10:00 GMT", 10 * time.Minute},
		"a date in another year":  {"Sat, 01 Jan 2050 00:10:00 GMT", 18263*24*time.Hour + 10*time.Minute},
		"a date that is over":     {"Fri, 31 Dec 1999 00:00:00 GMT", 0},
		"nonsense":                {"soon", 0},
		"negative":                {"-5", 0},
		"a number without bounds": {"99999999999999999999", 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				asked := 0
				c, err := New(Options{Tries: 1, Key: func(context.Context) (string, error) { return "sk_live_1", nil },
					Transport: roundTrip(func(*http.Request) (*http.Response, error) {
						asked++
						return &http.Response{StatusCode: 429, Header: http.Header{"Retry-After": {tt.header}}, Body: http.NoBody}, nil
					})})
				if err != nil {
					t.Fatal(err)
				}
				for i := range 2 {
					ctx, cancel := context.WithTimeout(t.Context(), 8*time.Second)
					defer cancel()
					_, err := c.FetchObject(ctx, "acct_1", "subscription", "sub_1")
					later, is := errors.AsType[*dispatch.RetryAfterError](err)
					want := tt.want
					if i == 1 {
						want = min(want, maxPause)
					}
					if is != (tt.want > 0) || is && (later.Delay != want || !later.AtLeast) {
						t.Errorf("request %d: %v, delay %+v", i, err, later)
					}
					if u, ok := errors.AsType[*UnavailableError](err); !ok || u.RetryAfter != want {
						t.Errorf("request %d: %v", i, err)
					}
				}
				if want := 1; tt.want > 0 && asked != want || tt.want == 0 && asked != 2 {
					t.Errorf("Stripe was asked %d times", asked)
				}
			})
		})
	}
}

// TestUnlimited: no limit with a test key only.
func TestUnlimited(t *testing.T) {
	for key, limited := range map[string]bool{"sk_test_1": false, "rk_test_1": false, "sk_live_1": true, "rk_live_1": true, "sk_org_live_1": true} {
		synctest.Test(t, func(t *testing.T) {
			c, err := New(Options{Unlimited: true, Processes: 50, Key: func(context.Context) (string, error) { return key, nil },
				Transport: roundTrip(func(*http.Request) (*http.Response, error) {
					return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader("{}"))}, nil
				})})
			if err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			for range 100 {
				if _, err := c.FetchObject(t.Context(), "acct_1", "customer", "cus_1"); err != nil {
					t.Fatal(err)
				}
			}
			if took := time.Since(start); took > 0 != limited {
				t.Errorf("%.8s: 100 requests took %v", key, took)
			}
		})
	}
}

// TestAccountsHaveTheirOwnRates: what one account asks for makes no other wait.
func TestAccountsHaveTheirOwnRates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := New(Options{Processes: 50, Key: func(context.Context) (string, error) { return "sk_live_1", nil },
			Transport: roundTrip(func(*http.Request) (*http.Response, error) {
				return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader("{}"))}, nil
			})})
		if err != nil {
			t.Fatal(err)
		}
		fetch := func(account string) time.Duration {
			start := time.Now()
			if _, err := c.FetchObject(t.Context(), account, "customer", "cus_1"); err != nil {
				t.Fatal(err)
			}
			return time.Since(start)
		}
		var hot time.Duration
		for range 20 {
			hot += fetch("acct_1")
		}
		if waited := fetch("acct_2"); hot == 0 || waited > 0 {
			t.Errorf("20 requests of one account waited %v, the first of another %v", hot, waited)
		}
	})
}

// TestLockedObject: a 429 because another request holds the object is about no rate.
func TestLockedObject(t *testing.T) {
	for body, want := range map[string]string{
		`{"error":{"code":"lock_timeout"}}`: limitedObject,
		`{"error":{"code":"rate_limit"}}`:   "unknown",
		``:                                  "unknown",
	} {
		if got := limited(&http.Response{StatusCode: 429}, []byte(body)); got != want {
			t.Errorf("%s: %q, want %q", body, got, want)
		}
	}
	reason := http.Header{"Stripe-Rate-Limited-Reason": {"global-concurrency"}}
	if got := limited(&http.Response{StatusCode: 429, Header: reason}, nil); got != "global-concurrency" {
		t.Error(got)
	}
	if got := limited(&http.Response{StatusCode: 409, Header: reason}, nil); got != "" {
		t.Error(got)
	}
}
