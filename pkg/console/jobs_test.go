package console

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// asking starts a job that asks once, and counts how often it was confirmed.
func asking(j *Jobs, changed *atomic.Int32) (id string) {
	page := j.Start(NewJob{Title: "Delete", Page: "/dead/", Run: func(ctx context.Context, io JobIO) error {
		if err := io.Ask(ctx, "delete it?", 7); err != nil {
			return err
		}
		changed.Add(1)
		return nil
	}})
	return strings.TrimPrefix(page, "/dead/")
}

func jobsFor(t *testing.T) *Jobs {
	t.Helper()
	return newJobs(t.Context(), func(string) string { return "" }, func(error) (int, string) { return 0, "" })
}

// TestJobAsks: nothing is changed before the question is confirmed, and once after it, however
// often the button is pressed.
func TestJobAsks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j, changed := jobsFor(t), atomic.Int32{}
		id := asking(j, &changed)
		synctest.Wait()
		v, err := j.Get(id)
		if err != nil || !v.Asking() || !v.Running() || v.Question != "delete it?" || v.Plan != 7 || changed.Load() != 0 {
			t.Fatalf("%+v, %v, changed %d", v, err, changed.Load())
		}
		for range 3 {
			if page, err := j.Confirm(id); page != "/dead/"+id || err != nil {
				t.Errorf("confirm: %q, %v", page, err)
			}
		}
		synctest.Wait()
		if v, _ := j.Get(id); v.Status != "done" || changed.Load() != 1 || v.Question == "" {
			t.Errorf("%+v, changed %d", v, changed.Load())
		}
		if page, err := j.Confirm(id); page != "/dead/"+id || err != nil || len(j.List()) != 1 {
			t.Errorf("a late confirm: %q, %v, %d jobs", page, err, len(j.List()))
		}
	})
}

// TestJobAskedIsStopped: a stop changes nothing, also with a confirm after it.
func TestJobAskedIsStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j, changed := jobsFor(t), atomic.Int32{}
		id := asking(j, &changed)
		synctest.Wait()
		if _, err := j.Stop(id); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if _, err := j.Confirm(id); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if v, _ := j.Get(id); v.Status != "stopped" || changed.Load() != 0 || len(j.List()) != 1 {
			t.Errorf("%+v, changed %d", v, changed.Load())
		}
	})
}

// TestJobOldPlan: what is confirmed too late is planned and asked again.
func TestJobOldPlan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j, changed := jobsFor(t), atomic.Int32{}
		id := asking(j, &changed)
		time.Sleep(askFor + time.Second)
		if v, _ := j.Get(id); v.Status != "failed" || !strings.Contains(v.Error, "nothing was changed") {
			t.Errorf("%+v", v)
		}
		page, err := j.Confirm(id)
		if err != nil || page == "/dead/"+id {
			t.Fatalf("%q, %v", page, err)
		}
		synctest.Wait()
		next := strings.TrimPrefix(page, "/dead/")
		if v, _ := j.Get(next); !v.Asking() || changed.Load() != 0 {
			t.Errorf("the new plan: %+v, changed %d", v, changed.Load())
		}
		if _, err := j.Confirm(next); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if changed.Load() != 1 {
			t.Errorf("changed %d", changed.Load())
		}
	})
}

// TestJobAgain starts an ended job once more; a running one stays the only one.
func TestJobAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j, changed := jobsFor(t), atomic.Int32{}
		id := asking(j, &changed)
		synctest.Wait()
		if page, err := j.Again(id); page != "/dead/"+id || err != nil || len(j.List()) != 1 {
			t.Errorf("%q, %v, %d jobs", page, err, len(j.List()))
		}
		if _, err := j.Stop(id); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if page, err := j.Again(id); page == "/dead/"+id || err != nil || len(j.List()) != 2 {
			t.Errorf("%q, %v, %d jobs", page, err, len(j.List()))
		}
		if _, err := j.Stop(strings.TrimPrefix(j.List()[0].Path, "/dead/")); err != nil {
			t.Error(err)
		}
		for _, do := range []func(string) (string, error){j.Again, j.Confirm, j.Stop} {
			if _, err := do("gone"); !errors.Is(err, ErrNotFound) {
				t.Errorf("a job of an earlier start: %v", err)
			}
		}
	})
}
