package main

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"tollgate/pkg/cmd/tollgate/audit"
	"tollgate/pkg/cmd/tollgate/verb"
)

// auditing is a command on a system, and its stderr.
func auditing(t *testing.T, s *system) (*verb.App, verb.Target, *bytes.Buffer) {
	t.Helper()
	var errOut bytes.Buffer
	a := &verb.App{Streams: verb.Streams{Out: &bytes.Buffer{}, Err: &errOut}, Data: s.data, Verbose: true}
	to, err := a.Target(t.Context())
	check(t, err)
	return a, to, &errOut
}

func TestAudited(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	of := verb.Audit{Verb: "redrive", Note: "fixed \x1b[31mthe rate", Detail: "type invoice.paid"}
	boom := errors.New("the queue is down")
	for _, c := range []struct {
		name    string
		work    func(ctx context.Context, interrupt func()) (string, error)
		outcome string
		err     error
		panics  bool
	}{
		{name: "done", work: func(context.Context, func()) (string, error) { return "3 sent", nil }, outcome: "3 sent"},
		{name: "without words", work: func(context.Context, func()) (string, error) { return "", nil }, outcome: "done"},
		{name: "failed", work: func(context.Context, func()) (string, error) { return "1 sent", boom }, outcome: "1 sent; failed: the queue is down", err: boom},
		{name: "interrupted", work: func(ctx context.Context, interrupt func()) (string, error) {
			interrupt()
			return "2 sent", ctx.Err()
		}, outcome: "2 sent; interrupted: context canceled", err: context.Canceled},
		{name: "panicked", work: func(context.Context, func()) (string, error) { panic("oops") }, outcome: "it panicked", panics: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, to, errOut := auditing(t, s)
			ctx, interrupt := context.WithCancel(t.Context())
			err := func() (err error) {
				defer func() {
					if v := recover(); (v != nil) != c.panics {
						t.Errorf("panic %v", v)
					}
				}()
				return a.Audited(ctx, to, of, func(ctx context.Context) (string, error) { return c.work(ctx, interrupt) })
			}()
			if !errors.Is(err, c.err) {
				t.Errorf("error %v, want %v", err, c.err)
			}
			got := lines[audit.View](t, s.tollgate("audit", "list", "--json").ok(t).out)[0]
			if got.Outcome != c.outcome || got.EndedAt == nil || got.Verb != "redrive" || got.Why != "fixed  [31mthe rate" ||
				got.Detail != "type invoice.paid" || got.Target != "the local system in "+s.data || !strings.Contains(got.By, "@") {
				t.Errorf("the entry is %+v, want outcome %q", got, c.outcome)
			}
			said := strings.Split(strings.TrimSpace(errOut.String()), "\n")
			if len(said) != 2 || !strings.Contains(said[0], got.ID) || !strings.HasSuffix(said[1], c.outcome) || strings.Contains(errOut.String(), "\x1b") {
				t.Errorf("stderr is %q", errOut)
			}
		})
	}
}

// TestAuditedNotWritten: an operation that cannot be audited is not started.
func TestAuditedNotWritten(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	a, to, _ := auditing(t, s)
	to.Table = "no-such-table"
	err := a.Audited(t.Context(), to, verb.Audit{Verb: "redrive"}, func(context.Context) (string, error) {
		t.Error("the work was begun")
		return "", nil
	})
	if err == nil || !strings.Contains(err.Error(), "nothing was changed") || !strings.Contains(a.HintOf(err), "dynamodb:PutItem") {
		t.Errorf("error %v", err)
	}
}

// TestAuditCrash: a process that died between the two writes leaves an entry without an end.
func TestAuditCrash(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	a, to, errOut := auditing(t, s)
	check(t, a.Audited(t.Context(), to, verb.Audit{Verb: "dlq purge", Note: "old"}, func(context.Context) (string, error) {
		down := func(operation string) {
			if strings.HasSuffix(operation, ".UpdateItem") {
				panic(http.ErrAbortHandler) // the connection dies
			}
		}
		s.called.Store(&down)
		return "2 deleted", nil
	}))
	s.called.Store(nil)
	if !strings.Contains(errOut.String(), "the audit trail lacks the outcome of entry") {
		t.Errorf("stderr is %q", errOut)
	}
	text := s.tollgate("audit", "list", "--verb", "dlq").ok(t).out
	if !strings.Contains(text, "running or died") || !strings.Contains(text, "dlq purge") {
		t.Errorf("the list is\n%s", text)
	}
	if got := lines[audit.View](t, s.tollgate("audit", "list", "--json").ok(t).out); len(got) != 1 || got[0].EndedAt != nil || got[0].Outcome != "" {
		t.Errorf("the list has %+v", got)
	}
}

func TestAuditList(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	if got := s.tollgate("audit", "list").ok(t); !strings.HasPrefix(got.out, "No entries") {
		t.Errorf("%q", got.out)
	}
	a, to, _ := auditing(t, s)
	for range 3 {
		check(t, a.Audited(t.Context(), to, verb.Audit{Verb: "redrive"}, func(context.Context) (string, error) { return "", nil }))
	}
	if got := s.tollgate("audit", "list", "--limit=2", "--json").ok(t); len(lines[audit.View](t, got.out)) != 2 || !strings.Contains(got.err, "more than 2") {
		t.Errorf("%+v", got)
	}
	if got := s.tollgate("audit", "list", "--verb=dlq", "--json").ok(t); got.out != "" {
		t.Errorf("%q", got.out)
	}
	for _, since := range []string{"400d", "1h", "2026-01-02T15:04:05Z"} {
		s.tollgate("audit", "list", "--since="+since).ok(t)
	}
	for _, c := range [][2]string{{"--since=401d", "400 days"}, {"--since=soon", "soon"}, {"--since=-3d", "-3d"}, {"--limit=0", "--limit"}} {
		s.tollgate("audit", "list", c[0]).refused(t, verb.ExitUsage, c[1])
	}
}
