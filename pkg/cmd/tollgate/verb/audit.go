package verb

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"strings"
	"time"

	"tollgate/pkg/dynamostore"
)

// Audit describes a change for the audit trail.
type Audit struct {
	Verb   string // as it is typed, for example "dlq purge"
	Note   string // the operator's reason
	Detail string // which things are changed; no payload and no secret
	Ask    string // what [App.Change] asks for; Detail by default
}

const auditTimeout = 5 * time.Second

// Change asks as [App.Confirm] does, and changes as [App.Audited] does.
func (a *App) Change(ctx context.Context, t Target, of Audit, yes bool, change func(context.Context) (outcome string, err error)) error {
	if err := a.Confirm(ctx, t, cmp.Or(of.Ask, of.Detail), yes); err != nil {
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
