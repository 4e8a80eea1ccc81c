package job

import (
	"context"
	"net/url"
	"path"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/console"
)

type fakeVerb struct {
	IDs  []string `arg:"" optional:""`
	Note string
	Rate int
	Wait bool
	Yes  bool
}

func (*fakeVerb) Run(context.Context, *verb.App) error { return nil }

// TestArguments: a form reaches the flags that it has and no others, whatever is typed into it.
func TestArguments(t *testing.T) {
	f := Form{New: func() Verb { return &fakeVerb{} }, Flags: []string{"note", "rate"}, Bools: []string{"wait"}, Args: "ids"}
	for _, tt := range []struct {
		name string
		form url.Values
		want fakeVerb
	}{
		{"nothing", url.Values{"note": {" "}, "yes": {"on"}}, fakeVerb{}},
		{"all", url.Values{"note": {" why "}, "rate": {"5"}, "wait": {"on"}, "ids": {"evt_1, evt_2\n evt_3"}}, fakeVerb{IDs: []string{"evt_1", "evt_2", "evt_3"}, Note: "why", Rate: 5, Wait: true}},
		{"flags in values", url.Values{"note": {"--yes"}, "ids": {"--yes -y"}}, fakeVerb{IDs: []string{"--yes", "-y"}, Note: "--yes"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got fakeVerb
			if err := verb.Parse(&got, f.arguments(tt.form)); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// asking changes nothing, but asks before it.
type asking struct{}

func (*asking) Run(ctx context.Context, a *verb.App) error {
	return a.Confirm(ctx, verb.Target{Name: "a system"}, verb.Audit{Ask: "change it"}, false)
}

// TestOldPlan: who confirms a plan that became old gets a new one.
func TestOldPlan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		jobs := console.New(ctx, console.Config{}).Jobs()
		first, err := Form{New: func() Verb { return &asking{} }}.Action(&verb.App{}).Do(ctx, url.Values{}, jobs)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(11 * time.Minute)
		again, err := jobs.Confirm(path.Base(first))
		if err != nil || again == first {
			t.Fatalf("%s again, %v", again, err)
		}
		synctest.Wait()
		if v, err := jobs.Get(path.Base(again)); err != nil || !v.Asking() {
			t.Errorf("the new job is %s, %v", v.Status, err)
		}
	})
}

func TestProgressOf(t *testing.T) {
	for want, lines := range map[Progress][]string{
		{}: {"audit 1: redrive by ann: begins"},
		{Text: "canary: 2 done", N: 3, Total: 10}:                    {"redriven 3 of 10 (30 %), 2 a second", "canary: 2 done"},
		{Text: "released 7 of 9 (78 %), 9 a second", N: 7, Total: 9}: {"x", "released 7 of 9 (78 %), 9 a second", "audit 1: done"},
	} {
		if got := ProgressOf(console.JobView{Progress: lines}); got != want {
			t.Errorf("%v: %+v, want %+v", lines, got, want)
		}
	}
}

// TestLines: an output that lost its begin shows its whole lines only.
func TestLines(t *testing.T) {
	type one struct{ N int }
	got := Lines[one](console.JobView{Output: "\"N\":1}\n{\"N\":2}\n{\"N\":3}\n{\"N\""})
	if diff := cmp.Diff([]one{{2}, {3}}, got); diff != "" {
		t.Error(diff)
	}
}
