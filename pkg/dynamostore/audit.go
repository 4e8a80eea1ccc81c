package dynamostore

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/oklog/ulid/v2"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/limits"
)

// auditPrefix starts an entry's key, and the name of the list of a day's entries.
const auditPrefix = limits.KeyAudit

// An entry's start is a PutItem that needs a free key and is refused with ALL_OLD; its
// end an UpdateItem of the same entry, which must be there. Nothing deletes an entry.
//
// Inputs of the end: :at in ms; :outcome.
const (
	auditBeginWhen = "attribute_not_exists(pk)"
	auditEndSet    = "SET ended_at=:at, outcome=:outcome"
	auditEndWhen   = "attribute_exists(pk)"
)

// AuditEntry is a change by an operator. Texts are cut to limits.MaxErrorText bytes, and
// terminal control characters become spaces.
type AuditEntry struct {
	ID        string // sorts by time
	Verb      string
	By        string
	Why       string
	Detail    string
	Target    string
	StartedAt time.Time
	EndedAt   time.Time // zero: still running, or its end was never written
	Outcome   string
}

// BeginAudit writes the entry of a work that starts at e.StartedAt and returns its id. After
// an error the work must not begin: it would not be audited.
func (o *Operator) BeginAudit(ctx context.Context, e AuditEntry) (id string, err error) {
	id = ulid.MustNew(ulid.Timestamp(e.StartedAt), rand.Reader).String()
	attributes := item{
		"pk": str(auditPrefix + id), dispatch.ListName: str(auditDay(e.StartedAt)), dispatch.ListOrder: str(id),
		"verb": str(plain(e.Verb)), "by": str(plain(e.By)), "why": str(plain(e.Why)), "detail": str(plain(e.Detail)),
		"started_at": millis(e.StartedAt),
	}
	if e.Target != "" {
		attributes["target"] = str(plain(e.Target))
	}
	old, err := o.putItem(ctx, "write audit entry", attributes, auditBeginWhen, nil)
	if err != nil {
		return "", err
	}
	if old == nil {
		return id, nil
	}
	if was, err := auditOf(old.item); err == nil && was.By == plain(e.By) && was.Verb == plain(e.Verb) {
		return id, nil // the random id is ours: an earlier try was applied and its answer lost
	}
	return "", errors.New("write audit entry: its key is in use")
}

// EndAudit writes the outcome of a work.
func (o *Operator) EndAudit(ctx context.Context, id, outcome string, now time.Time) error {
	what := "end audit entry " + id
	old, err := o.setItem(ctx, what, auditPrefix+id, auditEndSet, auditEndWhen, item{":at": millis(now), ":outcome": str(plain(outcome))})
	if old != nil {
		return fmt.Errorf("%s: it is not there", what)
	}
	return err
}

// AuditRequest asks for entries that began in a time.
type AuditRequest struct {
	Since, Until time.Time
	Verb         string // "" for any; "dlq" also means "dlq purge"
	Limit        int    // defaults to DefaultLimit
}

// maxAuditDays bounds a request; each day is one query at least.
const maxAuditDays = 401

// Audit returns entries, the newest first. More says that there are others of that time.
// The newest entries may be missing, as the index lags behind the table.
func (r *Reader) Audit(ctx context.Context, req AuditRequest) (entries []AuditEntry, more bool, err error) {
	req.Limit = cmp.Or(req.Limit, DefaultLimit)
	if req.Limit < 0 || req.Until.Before(req.Since) || req.Until.Sub(req.Since) > maxAuditDays*24*time.Hour {
		return nil, false, fmt.Errorf("list audit entries: want a limit, and a time of at most %d days", maxAuditDays)
	}
	first := req.Since.UTC().Truncate(24 * time.Hour)
	for day := req.Until.UTC().Truncate(24 * time.Hour); !day.Before(first); day = day.Add(-24 * time.Hour) {
		if entries, more, err = r.auditOfDay(ctx, req, day, entries); err != nil || more {
			return entries, more, err
		}
	}
	return entries, false, nil
}

// auditOfDay adds one day's entries, and reports whether there were more than fit.
func (r *Reader) auditOfDay(ctx context.Context, req AuditRequest, day time.Time, entries []AuditEntry) (_ []AuditEntry, more bool, err error) {
	var unreadable error
	err = r.each(ctx, Listed{NewestFirst: true}.query(r.table, auditDay(day)), func(row item) bool {
		var e AuditEntry
		if e, unreadable = auditOf(row); unreadable != nil {
			return false
		}
		if e.StartedAt.Before(req.Since) || e.StartedAt.After(req.Until) || !verbMatches(req.Verb, e.Verb) {
			return true
		}
		if more = len(entries) == req.Limit; !more {
			entries = append(entries, e)
		}
		return !more
	})
	return entries, more, errors.Join(err, unreadable)
}

func verbMatches(want, verb string) bool {
	return want == "" || verb == want || strings.HasPrefix(verb, want+" ")
}

// auditOf reads an entry; it fails for an item that BeginAudit did not write.
func auditOf(row item) (AuditEntry, error) {
	a := attributeReader{item: row}
	key := a.str("pk")
	id, ours := strings.CutPrefix(key, auditPrefix)
	e := AuditEntry{
		ID: id, Verb: a.str("verb"), By: a.str("by"), Why: a.str("why"), Detail: a.str("detail"), Target: a.str("target"),
		StartedAt: a.millis("started_at"), EndedAt: a.millis("ended_at"), Outcome: a.str("outcome"),
	}
	if !ours || e.Verb == "" || e.StartedAt.IsZero() {
		return e, fmt.Errorf("read audit entry %q: it has another shape than ours", key)
	}
	return e, nil
}

// auditDay names the list of the entries of one day, in UTC.
func auditDay(t time.Time) string { return auditPrefix + t.UTC().Format(time.DateOnly) }

// plain makes a text one bounded line without control characters.
func plain(s string) string {
	return bounded(strings.Map(func(r rune) rune {
		if !unicode.IsGraphic(r) {
			return ' '
		}
		return r
	}, s))
}
