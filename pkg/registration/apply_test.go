package registration

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
)

// run plans and applies once; it reports whether the process died.
func (w *world) run(ctx context.Context, run string) (d Done, err error, died bool) {
	defer func() {
		if r := recover(); r != nil {
			if _, died = r.(death); !died {
				panic(r)
			}
		}
	}()
	s, err := ReadStored(w.version(0).Value)
	if err != nil {
		return d, err, false
	}
	list, err := s.Of("default")
	if err != nil {
		return d, err, false
	}
	d, err = w.applier(run).Apply(ctx, Make(wanted(), w.all(), Known{Stored: list, Read: true}))
	return d, err, false
}

// lost are the enabled endpoints whose secret is nowhere and that no line names. The line
// before a creation counts only for a process that died: another has to say what is left.
func (w *world) lost(died bool) (ids []string) {
	said := strings.Join(slices.DeleteFunc(slices.Clone(w.said), func(line string) bool {
		return !died && strings.HasPrefix(line, "creating ")
	}), "\n")
	for _, e := range w.all() {
		named := strings.Contains(said, e.ID) || strings.Contains(said, MetaApply+"="+e.Metadata[MetaApply])
		if !e.Disabled && !strings.Contains(w.stored(), w.secrets[e.ID]) && !named {
			ids = append(ids, e.ID)
		}
	}
	return ids
}

func TestApplyCreates(t *testing.T) {
	w := newWorld()
	w.write(`{"default":["whsec_old"],"eu":["whsec_eu"]}`)
	done, err, _ := w.run(t.Context(), "run1")
	if d := cmp.Diff(Done{Created: "we_1"}, done); d != "" || err != nil {
		t.Fatalf("error %v (-want +got):\n%s", err, d)
	}
	if want := `{"default":["whsec_of_we_1","whsec_old"],"eu":["whsec_eu"]}`; w.stored() != want {
		t.Errorf("stored %s, want %s", w.stored(), want)
	}
	want := []string{"current", "create", "current", "replace", "update"}
	if d := cmp.Diff(want, slices.DeleteFunc(w.names, func(s string) bool { return s == "" })); d != "" {
		t.Errorf("calls (-want +got):\n%s", d)
	}
	if done, err, _ := w.run(t.Context(), "run2"); done.Words() != "nothing was changed" || err != nil || len(w.endpoints) != 1 {
		t.Errorf("again: %v, %v, %d endpoints", done, err, len(w.endpoints))
	}
	for _, line := range w.said {
		if strings.Contains(line, "whsec_") {
			t.Errorf("a secret is printed: %s", line)
		}
	}
}

// TestFaultsOfApply puts one or two faults into every call of an apply. Whatever happens,
// no enabled endpoint's secret is nowhere unsaid, and the next apply leaves exactly one
// endpoint, enabled, with its secret stored and nothing to do.
func TestFaultsOfApply(t *testing.T) {
	const calls = 12
	kinds := []fault{before, after, killed, dying}
	trials := 0
	trial := func(faults map[int]fault) {
		trials++
		synctest.Test(t, func(t *testing.T) {
			w := newWorld()
			w.write(`{"default":["whsec_old"]}`)
			w.faults = faults
			done, err, died := w.run(t.Context(), "run1")
			if ids := w.lost(died); len(ids) > 0 {
				t.Errorf("faults %v: the operator was not told of %v (died %v, error %v), printed %q", faults, ids, died, err, w.said)
			}
			if !died && err == nil && (done.Created == "" || len(w.endpoints) != 1) {
				t.Errorf("faults %v: success with %+v and %d endpoints", faults, done, len(w.endpoints))
			}
			if done.Left != "" && !strings.Contains(strings.Join(w.said, "\n"), "delete "+done.Left) {
				t.Errorf("faults %v: %s is left and the operator is not asked to delete it", faults, done.Left)
			}
			w.faults = nil
			if _, err, _ := w.run(t.Context(), "run2"); err != nil {
				t.Fatalf("faults %v: the next apply: %v", faults, err)
			}
			list := w.all()
			if len(list) != 1 || list[0].Disabled || !strings.HasPrefix(w.stored(), `{"default":["`+w.secrets[list[0].ID]) || !strings.Contains(w.stored(), "whsec_old") {
				t.Errorf("faults %v: after the next apply %+v and %s", faults, list, w.stored())
			}
			if p := Make(wanted(), list, Known{}); !p.UpToDate() {
				t.Errorf("faults %v: still to do: %+v", faults, p)
			}
		})
	}
	for i := 1; i <= calls; i++ {
		for _, f := range kinds {
			trial(map[int]fault{i: f})
			for j := i + 1; j <= calls; j++ {
				for _, g := range kinds {
					trial(map[int]fault{i: f, j: g})
				}
			}
		}
	}
	if trials != 48+66*16 {
		t.Errorf("%d trials", trials)
	}
}

// TestTheFaultsBite: an apply that stores last, and says nothing, is caught by lost.
func TestTheFaultsBite(t *testing.T) {
	w := newWorld()
	if _, _, err := w.CreateWebhookEndpoint(t.Context(), NewEndpoint{Metadata: map[string]string{MetaApply: "run1"}}, ""); err != nil {
		t.Fatal(err)
	}
	if ids := w.lost(true); len(ids) != 1 {
		t.Errorf("lost are %v", ids)
	}
}

// TestInterrupt cancels within each call: what was begun at Stripe is finished or undone.
func TestInterrupt(t *testing.T) {
	for n := 1; n <= 7; n++ {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld()
			ctx, cancel := context.WithCancel(t.Context())
			w.steps.before = func() {
				if w.n == n {
					cancel()
				}
			}
			_, err := w.applier("run1").Apply(ctx, Make(wanted(), nil, Known{}))
			whole := len(w.endpoints) == 1 && strings.Contains(w.stored(), "whsec_of_we_1") && w.endpoints["we_1"].Metadata[MetaSecret] != ""
			if len(w.endpoints) != 0 && !whole {
				t.Errorf("interrupt at call %d: %v, %+v, stored %q, printed %q", n, err, w.all(), w.stored(), w.said)
			}
			if whole != (err == nil) {
				t.Errorf("interrupt at call %d: error %v with %+v", n, err, w.all())
			}
		})
	}
}

func TestApplyUpdates(t *testing.T) {
	w := newWorld()
	w.write(`{"default":["whsec_1"]}`)
	w.endpoints["we_1"] = whole("we_1", func(e *Endpoint) { e.Disabled, e.Events = true, []string{"*"} })
	done, err, _ := w.run(t.Context(), "run1")
	e := w.endpoints["we_1"]
	if d := cmp.Diff(Done{Updated: "we_1"}, done); d != "" || err != nil || e.Disabled || !slices.Equal(e.Events, []string{"charge.dispute.created", "invoice.paid"}) {
		t.Errorf("error %v, %+v (-want +got):\n%s", err, e, d)
	}
	if err := w.applier("run2").Retire(t.Context(), "we_1"); err != nil || !w.endpoints["we_1"].Disabled {
		t.Errorf("retire: %v, %+v", err, w.endpoints["we_1"])
	}
}

// An endpoint is not created when its secret could not be stored anyway.
func TestNothingIsCreatedForABrokenSecret(t *testing.T) {
	for _, stored := range []string{`whsec_text`, `{"default":{"a":"whsec_text"}}`} {
		w := newWorld()
		w.write(stored)
		_, err := w.applier("run1").Apply(t.Context(), Make(wanted(), nil, Known{}))
		if err == nil || w.made != 0 || w.stored() != stored || strings.Contains(err.Error(), "text") {
			t.Errorf("stored %s: error %v, %d made", stored, err, w.made)
		}
	}
	refused := Make(Wanted{}, nil, Known{})
	if _, err := newWorld().applier("run1").Apply(t.Context(), refused); err == nil {
		t.Error("a plan that cannot be carried out was")
	}
}

// A refusal of Stripe's makes no endpoint, and none is looked for.
func TestARefusalIsNotLookedAfter(t *testing.T) {
	w := newWorld()
	a := w.applier("run1")
	a.Registrar = refusing{w}
	_, err := a.Apply(t.Context(), Make(wanted(), nil, Known{}))
	if !errors.Is(err, errStep) || slices.Contains(w.names, "list") {
		t.Errorf("error %v, calls %v", err, w.names)
	}
}

type refusing struct{ *world }

func (refusing) CreateWebhookEndpoint(context.Context, NewEndpoint, string) (Endpoint, Secret, error) {
	return Endpoint{}, Secret{}, errStep
}

func ExampleDone_Words() {
	fmt.Println(Done{Created: "we_2", Deleted: []string{"we_1"}}.Words())
	// Output: created we_2; deleted we_1
}
