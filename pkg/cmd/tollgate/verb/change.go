package verb

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/term"

	"tollgate/pkg/dynamostore"
)

// Audit describes a change for the audit trail.
type Audit struct {
	Verb   string // as it is typed, for example "dlq purge"
	Note   string // the operator's reason
	Detail string // which things are changed; no payload and no secret
	Ask    string // what [App.Confirm] asks for; Detail by default
	Plan   any    // for a job's page; nil: Ask says it all
}

const auditTimeout = 5 * time.Second

// Change asks as [App.Confirm] does, and changes as [App.Audited] does.
func (a *App) Change(ctx context.Context, t Target, of Audit, yes bool, change func(context.Context) (outcome string, err error)) error {
	if err := a.Confirm(ctx, t, of, yes); err != nil {
		return err
	}
	return a.Audited(ctx, t, of, change)
}

// Audited writes to the audit trail that a change begins, does the change, and writes its
// outcome, also after an interrupt or a panic. Without the first entry the change does not
// begin. change returns its outcome in words; an error is added to them. With --verbose both
// entries are printed on stderr.
func (a *App) Audited(ctx context.Context, t Target, of Audit, change func(context.Context) (outcome string, err error)) (err error) {
	log, err := t.Writer()
	if err != nil {
		return err
	}
	e := dynamostore.AuditEntry{
		Verb: of.Verb, By: Operator(), Why: of.Note, Detail: of.Detail, Target: t.Name, StartedAt: time.Now(),
	}
	if e.ID, err = log.BeginAudit(ctx, e); err != nil {
		return Hint(fmt.Errorf("nothing was changed: %w", err),
			"a change needs an audit entry: may these credentials call dynamodb:PutItem on %s?", t.Table)
	}
	a.auditLine(e, "begins")
	outcome := "it panicked"
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), auditTimeout)
		defer cancel()
		if failed := log.EndAudit(ctx, e.ID, outcome, time.Now()); failed != nil {
			fmt.Fprintf(a.Err, "the audit trail lacks the outcome of entry %s (%s): %v\n", e.ID, OneLine(outcome), failed)
		}
		a.auditLine(e, outcome)
	}()
	done, err := change(ctx)
	outcome = outcomeText(ctx, done, err)
	return err
}

// outcomeText joins what was done with why it ended early.
func outcomeText(ctx context.Context, done string, err error) string {
	switch {
	case err == nil:
		return cmp.Or(done, "done")
	case ctx.Err() != nil:
		return strings.TrimPrefix(done+"; interrupted: "+err.Error(), "; ")
	default:
		return strings.TrimPrefix(done+"; failed: "+err.Error(), "; ")
	}
}

func (a *App) auditLine(e dynamostore.AuditEntry, what string) {
	if !a.Verbose {
		return
	}
	text := fmt.Sprintf("audit %s: %s by %s", e.ID, e.Verb, e.By)
	if e.Why != "" {
		text += " because " + strconv.Quote(Clip(e.Why, 200))
	}
	fmt.Fprintf(a.Err, "%s: %s\n", OneLine(text), OneLine(what))
}

// Operator names who runs the command: user, host and process.
func Operator() string { return OperatorAs(os.Getpid()) }

// OperatorAs names an operator with another process of this user on this host.
func OperatorAs(pid int) string {
	name, host := "someone", "somewhere"
	if u, err := user.Current(); err == nil && u.Username != "" {
		name = u.Username
	}
	if h, err := os.Hostname(); err == nil && h != "" {
		host = h
	}
	return fmt.Sprintf("%s@%s (process %d)", name, host, pid)
}

// ended reports whether an operator, as [Operator] names one, was a process of the same
// user on this machine and has ended.
func ended(operator string) bool {
	var pid int
	_, last, _ := strings.Cut(operator, " (process ")
	if _, err := fmt.Sscanf(last, "%d)", &pid); err != nil || pid < 1 || operator != OperatorAs(pid) {
		return false
	}
	p, err := os.FindProcess(pid)
	return err == nil && errors.Is(p.Signal(syscall.Signal(0)), os.ErrProcessDone)
}

const maxReplyBytes = 64

// Confirm prints what is going to be changed where. It asks unless yes was given or the system
// is local, and refuses when there is no terminal to ask on. A job's page is asked always.
func (a *App) Confirm(ctx context.Context, t Target, of Audit, yes bool) error {
	what := cmp.Or(of.Ask, of.Detail)
	fmt.Fprintf(a.Err, "%s: %s\n", t.Name, what)
	switch {
	case a.ask != nil && !yes:
		return a.ask(ctx, t.Name+": "+what, of.Plan)
	case yes || t.Local:
		return nil
	}
	noTerminal := Usage("this changes %s: without a terminal, confirm with --yes", t.Name)
	if !IsTerminal(a.In) {
		return noTerminal
	}
	fmt.Fprint(a.Err, "Continue? [y/N] ")
	answer, err := Interruptible(ctx, func() (string, error) { return ReadLine(a.In, maxReplyBytes) })
	switch {
	case ctx.Err() != nil:
		fmt.Fprintln(a.Err) // after the question and the ^C that the terminal shows
		return fmt.Errorf("%w: nothing was changed", ctx.Err())
	case err != nil || answer == "":
		return noTerminal
	case !slices.Contains([]string{"y", "yes"}, strings.ToLower(strings.TrimSpace(answer))):
		return Usage("stopped: nothing was changed")
	}
	return nil
}

// IsTerminal reports whether a file is a terminal. Nil is none.
func IsTerminal(f *os.File) bool { return f != nil && term.IsTerminal(int(f.Fd())) }

// Interruptible returns what read returns, or the context's error as soon as the context ends.
// A read of a terminal or a pipe cannot be canceled, so it is abandoned.
func Interruptible[T any](ctx context.Context, read func() (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	results := make(chan result, 1)
	go func() {
		value, err := read()
		results <- result{value, err}
	}()
	select {
	case r := <-results:
		return r.value, r.err
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	}
}

// ReadLine reads one line with its end, or what there is before the end of the file. It
// stops after more than limit bytes.
func ReadLine(from io.Reader, limit int) (string, error) {
	var line []byte
	one := make([]byte, 1) // take no byte after the line from a terminal
	for len(line) <= limit {
		n, err := from.Read(one)
		line = append(line, one[:n]...)
		if n == 1 && one[0] == '\n' || errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return "", err
		}
	}
	return string(line), nil
}

// ReadHidden prints a question on a terminal and reads a line without echo. The terminal
// echoes again when it returns, also after an interrupt.
func (a *App) ReadHidden(ctx context.Context, question string) (string, error) {
	fd := int(a.In.Fd())
	state, err := term.GetState(fd)
	if err != nil {
		return "", err
	}
	fmt.Fprint(a.Err, question)
	defer fmt.Fprintln(a.Err)
	defer term.Restore(fd, state)
	return Interruptible(ctx, func() (string, error) {
		line, err := term.ReadPassword(fd)
		return string(line), err
	})
}
