// Package doctor checks what breaks systems of this kind, and says what to do.
//
// Each check looks at one part through a small interface that its caller fulfils, and
// gives findings; it changes nothing. What a local system does not have is skipped and
// says so; what these credentials may not see is a warning and never a pass.
//
//	findings := doctor.Run(ctx, time.Minute, []doctor.Check{
//		doctor.CheckTable(table, doctor.Site{Local: true}),
//		doctor.CheckRecords(records, time.Now),
//	})
package doctor

import (
	"context"
	"fmt"
	"sync"
	"time"

	"tollgate/pkg/limits"
)

// Status is how a part is.
type Status string

const (
	OK      Status = "ok"
	Warn    Status = "warn"    // it works, and will not for ever, or nobody knows
	Fail    Status = "fail"    // events are lost, late or not taken, now or in the next fault
	Skipped Status = "skipped" // there is nothing to look at here
)

// Finding is what was seen of one part.
type Finding struct {
	Name   string `json:"name"`
	Status Status `json:"status"`
	Detail string `json:"detail"`
	Do     string `json:"do,omitempty"`
}

// Site is where the system runs and the numbers that hold there.
type Site struct {
	Local  bool
	Live   bool // its stage takes live money
	Known  bool // whether Live is known
	Limits limits.Limits
}

// Check looks at one part.
type Check func(ctx context.Context) []Finding

// Run makes all checks at once, each with so much time, and returns their findings in
// the order of the checks.
func Run(ctx context.Context, timeout time.Duration, checks []Check) (all []Finding) {
	found := make([][]Finding, len(checks))
	var wg sync.WaitGroup
	for i, check := range checks {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, timeout)
			defer cancel()
			found[i] = check(ctx)
		})
	}
	wg.Wait()
	for _, f := range found {
		all = append(all, f...)
	}
	return all
}

// Failed reports whether any finding is a failure.
func Failed(all []Finding) bool {
	for _, f := range all {
		if f.Status == Fail {
			return true
		}
	}
	return false
}

// Skip is a check of what is not here.
func Skip(name, why string) Check {
	return func(context.Context) []Finding { return []Finding{{Name: name, Status: Skipped, Detail: why}} }
}

// findings collects the findings of one part under one name: the good one stands only
// where no other does.
type findings struct {
	name string
	list []Finding
}

func (f *findings) add(s Status, do, format string, args ...any) {
	f.list = append(f.list, Finding{f.name, s, fmt.Sprintf(format, args...), do})
}

func (f *findings) fail(do, format string, args ...any) { f.add(Fail, do, format, args...) }
func (f *findings) warn(do, format string, args ...any) { f.add(Warn, do, format, args...) }

// or returns what was found, or that all is well.
func (f *findings) or(format string, args ...any) []Finding {
	if len(f.list) == 0 {
		f.add(OK, "", format, args...)
	}
	return f.list
}

// unknown is a part that could not be looked at.
func unknown(name string, err error, permission string) []Finding {
	return []Finding{{name, Warn, "not known: " + err.Error(), "these credentials need " + permission}}
}
