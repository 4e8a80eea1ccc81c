package secrets

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/google/go-cmp/cmp"

	"tollgate/pkg/event"
	"tollgate/pkg/ingest"
	"tollgate/pkg/limits"
	"tollgate/pkg/registration"
	"tollgate/pkg/telemetry"
)

const both = `{"default":["whsec_new","whsec_old"],"eu":["whsec_eu"]}`

// fakeAPI is a Secrets Manager that takes its time and can be broken.
type fakeAPI struct {
	mu     sync.Mutex
	value  *string
	err    error
	takes  time.Duration
	calls  int
	lastID string
}

func (f *fakeAPI) GetSecretValue(ctx context.Context, in *secretsmanager.GetSecretValueInput, _ ...func(*secretsmanager.Options)) (*secretsmanager.GetSecretValueOutput, error) {
	f.mu.Lock()
	f.calls++
	f.lastID = *in.SecretId
	takes := f.takes
	f.mu.Unlock()
	if takes > 0 {
		select {
		case <-time.After(takes):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil {
		return nil, f.err
	}
	return &secretsmanager.GetSecretValueOutput{SecretString: f.value}, nil
}

func (f *fakeAPI) set(value string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.value, f.err = &value, err
}

func (f *fakeAPI) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls
}

func serving(value string) *fakeAPI { return &fakeAPI{value: &value} }

func webhook(t *testing.T, api *fakeAPI) (*Webhook, *bytes.Buffer) {
	t.Helper()
	log := &bytes.Buffer{}
	w, err := NewWebhook(Config{API: api, ID: "tollgate/webhook", Logger: slog.New(slog.NewTextHandler(log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	return w, log
}

// expect states that a list of secrets was returned.
func expect(t *testing.T, got []string, err error, want ...string) {
	t.Helper()
	if err != nil || !cmp.Equal(got, want) {
		t.Errorf("got %q error %v, want %q", got, err, want)
	}
}

func TestActive(t *testing.T) {
	api := serving(both)
	w, _ := webhook(t, api)
	if api.count() != 0 {
		t.Error("fetched before the first request")
	}
	got, err := w.Active(t.Context(), "default")
	expect(t, got, err, "whsec_new", "whsec_old")
	got, err = w.Active(t.Context(), "eu")
	expect(t, got, err, "whsec_eu")
	if _, err = w.Active(t.Context(), "us"); !errors.Is(err, ingest.ErrUnknownEndpoint) {
		t.Errorf("error %v, want ErrUnknownEndpoint", err)
	}
	if api.count() != 1 || api.lastID != "tollgate/webhook" {
		t.Errorf("%d fetches of %q, want 1 of tollgate/webhook", api.count(), api.lastID)
	}
}

func TestParse(t *testing.T) {
	cases := []struct {
		name, text string
		want       map[string][]string // nil: refused whole
		dropped    int
	}{
		{"two endpoints", both, map[string][]string{"default": {"whsec_new", "whsec_old"}, "eu": {"whsec_eu"}}, 0},
		{"no endpoint", `{}`, nil, 0},
		{"empty list", `{"default":[]}`, map[string][]string{"default": {}}, 0},
		{"null list", `{"default":null}`, map[string][]string{"default": {}}, 0},
		{"empty entry", `{"default":["","whsec_a"]}`, map[string][]string{"default": {"whsec_a"}}, 1},
		{"trailing newline", `{"default":["whsec_a\n"]}`, map[string][]string{"default": {"whsec_a"}}, 0},
		{"leading space", `{"default":[" whsec_a"]}`, map[string][]string{"default": {"whsec_a"}}, 0},
		{"space inside", `{"default":["whsec_a b"]}`, map[string][]string{"default": {}}, 1},
		{"no-break space", `{"default":["whsec_a\u00a0"]}`, map[string][]string{"default": {"whsec_a"}}, 0},
		{"a key of the cursor", `{"default":["whsec_a\u001b[D"]}`, map[string][]string{"default": {}}, 1},
		{"space of no width", `{"default":["whsec_\u200ba"]}`, map[string][]string{"default": {}}, 1},
		{"another kind of key", `{"default":["sk_live_SENSITIVE"]}`, map[string][]string{"default": {}}, 1},
		{"prefix alone", `{"default":["whsec_"]}`, map[string][]string{"default": {}}, 1},
		{"number", `{"default":[5,"whsec_a"]}`, map[string][]string{"default": {"whsec_a"}}, 1},
		{"null entry", `{"default":[null]}`, map[string][]string{"default": {}}, 1},
		{"a string for a list", `{"default":"whsec_b\n","eu":["whsec_a"]}`, map[string][]string{"default": {"whsec_b"}, "eu": {"whsec_a"}}, 0},
		{"another string for a list", `{"default":"SENSITIVE","eu":["whsec_a"]}`, map[string][]string{"default": {}, "eu": {"whsec_a"}}, 1},
		{"an object for a list", `{"default":{"a":"whsec_SENSITIVE"},"eu":["whsec_a"]}`, map[string][]string{"default": {}, "eu": {"whsec_a"}}, 1},
		{"secret for a name", `{"whsec_SENSITIVE":["whsec_a"]}`, nil, 1},
		{"not JSON", `whsec_SENSITIVE`, nil, 0},
		{"null", `null`, nil, 0},
		{"list", `["whsec_SENSITIVE"]`, nil, 0},
		{"empty", ``, nil, 0},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var log bytes.Buffer
			got, err := parse(t.Context(), c.text, slog.New(slog.NewTextHandler(&log, nil)))
			if d := cmp.Diff(c.want, got); d != "" || (err != nil) != (c.want == nil) {
				t.Errorf("error %v, (-want +got):\n%s", err, d)
			}
			if n := strings.Count(log.String(), "\n"); n != c.dropped {
				t.Errorf("%d log lines, want %d:\n%s", n, c.dropped, &log)
			}
			if text := log.String() + fmt.Sprint(err); strings.Contains(text, "SENSITIVE") || strings.Contains(text, "whsec_a") {
				t.Errorf("a value is in %q", text)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{both, `{}`, `{"a":[]}`, `{"a":["whsec_x","whsec_x\n"]}`, `{"a":{"b":1}}`, `null`, `[`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		all, err := parse(t.Context(), text, slog.New(slog.DiscardHandler))
		if (err == nil) != (all != nil) {
			t.Fatalf("%v with error %v", all, err)
		}
		for endpoint, list := range all {
			if !event.ValidEndpoint(endpoint) {
				t.Fatalf("endpoint %q", endpoint)
			}
			for _, s := range list {
				if registration.FaultOf(s) != "" {
					t.Fatalf("unusable secret %q passed", s)
				}
			}
		}
	})
}

func TestTTL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := serving(both)
		w, _ := webhook(t, api)
		for range 300 { // five minutes, once a second
			got, err := w.Active(t.Context(), "eu")
			expect(t, got, err, "whsec_eu")
			<-time.After(time.Second)
		}
		if api.count() != 1 {
			t.Errorf("%d fetches in the first five minutes, want 1", api.count())
		}
		api.set(`{"eu":["whsec_next"]}`, nil)
		got, err := w.Active(t.Context(), "eu")
		expect(t, got, err, "whsec_next")
	})
}

func TestOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := serving(both)
		w, log := webhook(t, api)
		if _, err := w.Active(t.Context(), "eu"); err != nil {
			t.Fatal(err)
		}
		api.set("", errors.New("secrets manager is down"))
		api.takes = time.Hour
		start := time.Now()
		for range 3600 { // an hour's outage, one request a second
			got, err := w.Active(t.Context(), "eu")
			expect(t, got, err, "whsec_eu")
			<-time.After(time.Second)
		}
		if n := api.count(); n < 50 || n > 60 {
			t.Errorf("%d fetches in the outage, want one a minute", n)
		}
		if waited := time.Since(start) - time.Hour; waited > 31*time.Second {
			t.Errorf("requests waited %v in an hour, want 0.5 s a minute", waited)
		}
		if !strings.Contains(log.String(), "stays in use") {
			t.Errorf("log %q does not report it", log)
		}
		api.set(`{"eu":["whsec_next"]}`, nil)
		api.takes = 0
		<-time.After(time.Minute)
		got, err := w.Active(t.Context(), "eu")
		expect(t, got, err, "whsec_next")
	})
}

// TestUnusableListDoesNotReplaceAGoodOne: an endpoint whose new list has nothing usable keeps
// its own; the others get theirs.
func TestUnusableListDoesNotReplaceAGoodOne(t *testing.T) {
	for name, list := range map[string]string{
		"empty": `[]`, "null": `null`, "no secrets": `["sk_live_SENSITIVE",5]`, "another string": `"SENSITIVE"`, "an object": `{}`,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				api := serving(both)
				var log bytes.Buffer
				w, err := NewWebhook(Config{API: api, ID: "w", Logger: telemetry.Logger(&log, telemetry.Options{Stage: "test", Level: slog.LevelInfo})})
				if err != nil {
					t.Fatal(err)
				}
				_, _ = w.Active(t.Context(), "eu")
				api.set(`{"default":`+list+`,"eu":["whsec_next"]}`, nil)
				for range 3 { // the bad list is read three times
					<-time.After(limits.AWS().SecretTTL)
					got, err := w.Active(t.Context(), "default")
					expect(t, got, err, "whsec_new", "whsec_old")
				}
				got, err := w.Active(t.Context(), "eu")
				expect(t, got, err, "whsec_next")
				if n := strings.Count(log.String(), `"`+limits.MetricSecretUnusable+`":1`); n != 3 || strings.Contains(log.String(), "SENSITIVE") {
					t.Errorf("counted %d times, want 3: %s", n, &log)
				}
				api.set(`{"default":"whsec_good","eu":["whsec_next"]}`, nil)
				<-time.After(limits.AWS().SecretTTL)
				got, err = w.Active(t.Context(), "default")
				expect(t, got, err, "whsec_good")
				api.set(`{"eu":["whsec_next"]}`, nil)
				<-time.After(limits.AWS().SecretTTL)
				if _, err = w.Active(t.Context(), "default"); !errors.Is(err, ingest.ErrUnknownEndpoint) {
					t.Errorf("error %v for an endpoint that is no longer named", err)
				}
			})
		})
	}
}

func TestDownFromTheStart(t *testing.T) {
	down := errors.New("down")
	for name, api := range map[string]*fakeAPI{
		"refused":        {err: down},
		"too slow":       {takes: time.Hour},
		"does not exist": {err: &types.ResourceNotFoundException{}},
		"binary":         {},
		"not JSON":       serving("whsec_SENSITIVE"),
		"no endpoint":    serving("{}"),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, _ := webhook(t, api)
				start := time.Now()
				got, err := w.Active(t.Context(), "default")
				if err == nil || errors.Is(err, ingest.ErrUnknownEndpoint) || got != nil || strings.Contains(err.Error(), "SENSITIVE") {
					t.Errorf("got %q, error %v", got, err)
				}
				if took, most := time.Since(start), limits.AWS().FirstSecretDeadline(); took > most {
					t.Errorf("took %v, want at most %v", took, most)
				}
				api.takes = 0
				api.set(both, nil)
				got, err = w.Active(t.Context(), "eu")
				expect(t, got, err, "whsec_eu")
			})
		})
	}
}

func TestRefetchOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := serving(both)
		w, _ := webhook(t, api)
		_, _ = w.Active(t.Context(), "eu")
		for range 1000 {
			_, _ = w.Refetched(t.Context(), "eu")
		}
		if api.count() != 2 {
			t.Errorf("%d fetches after 1,000 calls in one moment, want 2", api.count())
		}
		<-time.After(time.Minute - time.Nanosecond)
		_, _ = w.Refetched(t.Context(), "eu")
		if api.count() != 2 {
			t.Error("fetched again within the minute")
		}
		<-time.After(time.Nanosecond)
		api.set(`{"eu":["whsec_next"]}`, nil)
		got, err := w.Refetched(t.Context(), "eu")
		expect(t, got, err, "whsec_next")
		if _, err := w.Refetched(t.Context(), "default"); !errors.Is(err, ingest.ErrUnknownEndpoint) {
			t.Errorf("error %v, want ErrUnknownEndpoint", err)
		}
	})
}

func TestFailedRefetchCountsToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := serving(both)
		w, _ := webhook(t, api)
		_, _ = w.Active(t.Context(), "eu")
		api.set("", errors.New("down"))
		api.takes = time.Hour
		start := time.Now()
		for range 100 {
			got, err := w.Refetched(t.Context(), "eu")
			expect(t, got, err, "whsec_eu")
		}
		if took := time.Since(start); api.count() != 2 || took > limits.AWS().SecretDeadline {
			t.Errorf("%d fetches in %v, want 2 in at most 500 ms", api.count(), took)
		}
	})
}

func TestCallersShareOneFetch(t *testing.T) {
	call := map[string]func(*Webhook, context.Context) ([]string, error){
		"first load": func(w *Webhook, ctx context.Context) ([]string, error) { return w.Active(ctx, "eu") },
		"refetch":    func(w *Webhook, ctx context.Context) ([]string, error) { return w.Refetched(ctx, "eu") },
	}
	for name, ask := range call {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				api := serving(both)
				w, _ := webhook(t, api)
				if name == "refetch" {
					_, _ = w.Active(t.Context(), "eu")
				}
				before := api.count()
				api.set(`{"eu":["whsec_next"]}`, nil)
				api.takes = 300 * time.Millisecond
				var wg sync.WaitGroup
				for range 50 {
					wg.Go(func() {
						got, err := ask(w, t.Context())
						expect(t, got, err, "whsec_next")
					})
				}
				wg.Wait()
				if n := api.count() - before; n != 1 {
					t.Errorf("%d fetches for 50 callers, want 1", n)
				}
			})
		})
	}
}

func TestWaitersShareAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := &fakeAPI{takes: time.Hour}
		w, _ := webhook(t, api)
		start := time.Now()
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				if _, err := w.Active(t.Context(), "eu"); err == nil {
					t.Error("no error")
				}
			})
		}
		wg.Wait()
		if took := time.Since(start); took > limits.AWS().FirstSecretDeadline() || api.count() != 1 {
			t.Errorf("20 callers waited %v over %d fetches, want one deadline", took, api.count())
		}
	})
}

func TestCancelledCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := serving(both)
		api.takes = 200 * time.Millisecond
		w, _ := webhook(t, api)
		leader, stop := context.WithCancel(t.Context())
		go func() { _, _ = w.Active(leader, "eu") }()
		synctest.Wait()
		impatient, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if _, err := w.Active(impatient, "eu"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v, want the caller's own deadline", err)
		}
		stop()
		got, err := w.Active(t.Context(), "eu") // the fetch continues for the others
		expect(t, got, err, "whsec_eu")
		if api.count() != 1 {
			t.Errorf("%d fetches, want 1", api.count())
		}
	})
}

func TestAPIKey(t *testing.T) {
	of := func(api *fakeAPI) Config { return Config{API: api, ID: "key"} }
	cases := []struct {
		name   string
		config Config
		want   string
		err    bool
	}{
		{"plain", of(serving("sk_test_1")), "sk_test_1", false},
		{"with a newline", of(serving("sk_test_1\n")), "sk_test_1", false},
		{"empty", of(serving(" \n")), "", false},
		{"does not exist", of(&fakeAPI{err: fmt.Errorf("wrapped: %w", &types.ResourceNotFoundException{})}), "", false},
		{"binary", of(&fakeAPI{}), "", false},
		{"down", of(&fakeAPI{err: errors.New("down")}), "", true},
		{"a system without a secret", Config{}, "", false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			k, err := NewAPIKey(c.config)
			if err != nil {
				t.Fatal(err)
			}
			got, err := k.Key(t.Context())
			if got != c.want || (err != nil) != c.err {
				t.Errorf("got %q error %v, want %q", got, err, c.want)
			}
		})
	}
}

func TestAPIKeyIsCached(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := serving("sk_1")
		k, err := NewAPIKey(Config{API: api, ID: "key"})
		if err != nil {
			t.Fatal(err)
		}
		for range 10 {
			_, _ = k.Key(t.Context())
		}
		api.set("sk_2", nil)
		if got, _ := k.Key(t.Context()); got != "sk_1" || api.count() != 1 {
			t.Errorf("got %q after %d fetches, want the cached key", got, api.count())
		}
		<-time.After(limits.AWS().SecretTTL)
		if got, _ := k.Key(t.Context()); got != "sk_2" {
			t.Errorf("got %q, want the rolled key", got)
		}
	})
}

func TestConfigNamesEveryFault(t *testing.T) {
	if _, err := NewWebhook(Config{}); err == nil || !strings.Contains(err.Error(), "client") || !strings.Contains(err.Error(), "id") {
		t.Errorf("error %v does not name both faults", err)
	}
	if _, err := NewAPIKey(Config{ID: "key"}); err == nil || !strings.Contains(err.Error(), "client") {
		t.Errorf("error %v does not name the fault", err)
	}
}
