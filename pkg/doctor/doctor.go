// Package doctor checks a system for what makes it lose or delay events, and names the fix.
//
// Each check reads one part through a small interface and returns findings; it changes
// nothing. What a local system does not have is skipped; what the credentials may not read is
// a warning, never ok.
//
//	findings := doctor.Run(ctx, time.Minute, []doctor.Check{
//		doctor.CheckTable(table, doctor.Target{Local: true}),
//		doctor.CheckRecords(records, time.Now),
//	})
package doctor

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"tollgate/pkg/limits"
)

// Status of a part.
type Status string

const (
	OK      Status = "ok"
	Warn    Status = "warn"    // degraded, or could not be checked
	Fail    Status = "fail"    // events are lost, late or refused, now or at the next failure
	Skipped Status = "skipped" // not applicable to this system
)

// Finding is the result for one part.
type Finding struct {
	Name   string `json:"name"`
	Status Status `json:"status"`
	Detail string `json:"detail"`
	Fix    string `json:"do,omitempty"`
}

// Target is the system that is checked.
type Target struct {
	Local   bool
	Live    bool   // its stage takes live money
	Known   bool   // whether Live is known
	Version string // of this command
	Limits  limits.Limits
}

const redeploy = "deploy the stack again: make deploy"

// Check checks one part.
type Check func(ctx context.Context) []Finding

// Run runs all checks in parallel, each with a timeout, and returns their findings in the
// order of the checks.
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

// Skip is a check that is not applicable, with the reason.
func Skip(name, why string) Check {
	return func(context.Context) []Finding { return []Finding{{Name: name, Status: Skipped, Detail: why}} }
}

// findings collects the findings of one part; the OK one is added only if there is no other.
type findings struct {
	name string
	list []Finding
}

func (f *findings) add(s Status, do, format string, args ...any) []Finding {
	f.list = append(f.list, Finding{f.name, s, fmt.Sprintf(format, args...), do})
	return f.list
}

func (f *findings) fail(do, format string, args ...any) []Finding {
	return f.add(Fail, do, format, args...)
}
func (f *findings) warn(do, format string, args ...any) []Finding {
	return f.add(Warn, do, format, args...)
}

// or returns the findings, or OK with a detail if there are none.
func (f *findings) or(format string, args ...any) []Finding {
	if len(f.list) == 0 {
		return f.add(OK, "", format, args...)
	}
	return f.list
}

// ErrMissing: AWS says that the part does not exist. Every other error of a reader means only
// that it could not be checked.
var ErrMissing = errors.New("it does not exist")

// unknown is the finding for a part that could not be read.
func unknown(name string, err error, permission string) []Finding {
	f := findings{name: name}
	if errors.Is(err, ErrMissing) {
		return f.fail("check --stack, AWS_REGION and AWS_PROFILE; if it was deleted by hand, aws cloudformation detect-stack-drift --stack-name STACK lists what else was", "%v", err)
	}
	return f.warn("run it again; if access is denied, these credentials need "+permission, "could not be checked: %v", err)
}
