package console

import (
	"context"
	"errors"
	"fmt"
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

// TestJobsAreBounded: neither what a job prints nor how many there were fills the memory, and
// what runs is not forgotten.
func TestJobsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newJobs(t.Context(), func(line string) string {
			id, found := strings.CutPrefix(line, "audit ")
			return map[bool]string{true: id}[found]
		}, func(error) (int, string) { return 0, "try again" })
		end := make(chan struct{})
		long := strings.TrimPrefix(j.Start(NewJob{Title: "long", Run: func(_ context.Context, io JobIO) error {
			for i := range 4 * maxOutput / 64 {
				fmt.Fprintf(io.Out, "%063d\n", i)
				fmt.Fprintf(io.Progress, "%063d\n", i)
			}
			fmt.Fprintln(io.Progress, "audit 01X")
			<-end
			return nil
		}}), "/jobs/")
		for range 2 * maxJobs {
			j.Start(NewJob{Title: "short", Run: func(context.Context, JobIO) error { return errors.New("no") }})
			synctest.Wait()
		}
		list := j.List()
		if got := list[0]; len(list) != maxJobs || got.Status != "failed" || got.Error != "no" || got.Next != "try again" {
			t.Errorf("%d jobs, the newest is %+v", len(list), got)
		}
		v, err := j.Get(long)
		if err != nil || v.Status != "running" || len(v.Output) >= 2*maxOutput || v.Dropped+len(v.Output) != 4*maxOutput || len(v.Progress) != maxLines || len(v.Audit) != 1 || v.Audit[0] != "01X" {
			t.Errorf("%v: %s, %d bytes and %d dropped, %d lines, audit %v", err, v.Status, len(v.Output), v.Dropped, len(v.Progress), v.Audit)
		}
		if len(list[maxJobs-1].Output) > 0 || len(list[maxJobs-1].Progress) != 1 {
			t.Errorf("the list has %d bytes and %d lines of the long one", len(list[maxJobs-1].Output), len(list[maxJobs-1].Progress))
		}
		close(end)
		synctest.Wait()
		j.Start(NewJob{Title: "one more", Run: func(context.Context, JobIO) error { return nil }})
		if _, err := j.Get(long); !errors.Is(err, ErrNotFound) {
			t.Errorf("the oldest that ended is kept: %v", err)
		}
	})
}

// TestJobsAtOnce: too many at once are refused, and a panic and a stop end one job only.
func TestJobsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := jobsFor(t)
		var pages []string
		for range maxRunning + 1 {
			pages = append(pages, j.Start(NewJob{Run: func(ctx context.Context, _ JobIO) error { <-ctx.Done(); return ctx.Err() }}))
		}
		synctest.Wait()
		status := func(page string) string {
			v, err := j.Get(strings.TrimPrefix(page, "/jobs/"))
			if err != nil {
				t.Fatal(err)
			}
			return v.Status + " " + v.Error
		}
		if got := status(pages[maxRunning]); !strings.HasPrefix(got, "failed 16 jobs are running") {
			t.Errorf("one too many is %q", got)
		}
		if _, err := j.Stop(strings.TrimPrefix(pages[0], "/jobs/")); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if first, second := status(pages[0]), status(pages[1]); first != "stopped context canceled" || second != "running " {
			t.Errorf("the stopped one is %q, the other %q", first, second)
		}
		if got := func() string {
			page := j.Start(NewJob{Run: func(context.Context, JobIO) error { panic("a bug") }})
			synctest.Wait()
			return status(page)
		}(); got != "failed it panicked: a bug" {
			t.Errorf("one that panicked is %q", got)
		}
		for _, page := range pages[1:maxRunning] {
			j.Stop(strings.TrimPrefix(page, "/jobs/"))
		}
		if err := j.wait(t.Context()); err != nil {
			t.Error(err)
		}
	})
}
