package dynamostore

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"tollgate/pkg/dispatch"
)

// auditPrefix starts an entry's key, and the name of the list of a day's entries.
const auditPrefix = "AUDIT#"

// An entry's start is a PutItem that needs a free key and is refused with ALL_OLD; its
// end an UpdateItem of the same entry, which must be there. Nothing deletes an entry.
//
// Inputs of the end: :at in ms; :outcome.
const (
	auditBeginWhen = "attribute_not_exists(pk)"
	auditEndSet    = "SET ended_at=:at, outcome=:outcome"
	auditEndWhen   = "attribute_exists(pk)"
)

// AuditEntry is what an operator changed, and why. Texts are cut to limits.MaxErrorText
// bytes, and characters that could steer a terminal become spaces.
type AuditEntry struct {
	ID        string // sorts by time
	Verb      string
	By        string
	Why       string
	Detail    string
	Target    string
	StartedAt time.Time
	EndedAt   time.Time // zero: it runs, or its end was never written
	Outcome   string
}

// BeginAudit writes the entry of a work that starts at e.StartedAt and returns its id. After
// an error the work must not begin: nobody would know of it.
func (o *Operator) BeginAudit(ctx context.Context, e AuditEntry) (id string, err error) {
	id = newAuditID(e.StartedAt)
	attributes := item{
		"pk": str(auditPrefix + id), dispatch.ListName: str(auditDay(e.StartedAt)), dispatch.ListOrder: str(id),
		"verb": str(plain(e.Verb)), "by": str(plain(e.By)), "why": str(plain(e.Why)), "detail": str(plain(e.Detail)),
		"started_at": millis(e.StartedAt),
	}
	if e.Target != "" {
		attributes["target"] = str(plain(e.Target))
	}
	_, err = o.client.PutItem(ctx, &dynamodb.PutItemInput{
		TableName: &o.table, Item: attributes, ConditionExpression: aws.String(auditBeginWhen),
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	})
	if err == nil {
		return id, nil
	}
	f := faultOf(err)
	if f.kind != refused {
		return "", fmt.Errorf("write audit entry: %s", f.text)
	}
	if old, err := auditOf(f.old); err == nil && old.By == plain(e.By) && old.Verb == plain(e.Verb) {
		return id, nil // the random id is ours: an earlier try was applied and its answer lost
	}
	return "", errors.New("write audit entry: its key is in use")
}

// EndAudit writes what became of a work.
func (o *Operator) EndAudit(ctx context.Context, id, outcome string, now time.Time) error {
	_, err := o.client.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName:                 &o.table,
		Key:                       keyOf(auditPrefix + id),
		UpdateExpression:          aws.String(auditEndSet),
		ConditionExpression:       aws.String(auditEndWhen),
		ExpressionAttributeValues: item{":at": millis(now), ":outcome": str(plain(outcome))},
	})
	if err == nil {
		return nil
	}
	f := faultOf(err)
	if f.kind == refused {
		return fmt.Errorf("end audit entry %s: it is not there", id)
	}
	return fmt.Errorf("end audit entry %s: %s", id, f.text)
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
// What began within the last moment may be missing, as the index lags behind the table.
func (r *Reader) Audit(ctx context.Context, req AuditRequest) (entries []AuditEntry, more bool, err error) {
	if req.Limit == 0 {
		req.Limit = DefaultLimit
	}
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
func (r *Reader) auditOfDay(ctx context.Context, req AuditRequest, day time.Time, entries []AuditEntry) ([]AuditEntry, bool, error) {
	page := Listed{NewestFirst: true, Limit: pageItems}
	for {
		rows, next, err := r.listed(ctx, auditDay(day), page)
		if err != nil {
			return nil, false, err
		}
		for _, row := range rows {
			e, err := auditOf(row)
			if err != nil {
				return nil, false, err
			}
			if e.StartedAt.Before(req.Since) || e.StartedAt.After(req.Until) || !verbMatches(req.Verb, e.Verb) {
				continue
			}
			if len(entries) == req.Limit {
				return entries, true, nil
			}
			entries = append(entries, e)
		}
		if page.Cursor = next; next == "" {
			return entries, false, nil
		}
	}
}

func verbMatches(want, verb string) bool {
	return want == "" || verb == want || strings.HasPrefix(verb, want+" ")
}

// auditOf reads an entry; one of another shape than ours was written by something else.
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

// newAuditID returns a ULID: 48 bits of milliseconds and 80 random ones in 26
// characters whose order is that of their bits.
func newAuditID(t time.Time) string {
	var b [16]byte
	rand.Read(b[6:])
	var ms [8]byte
	binary.BigEndian.PutUint64(ms[:], uint64(t.UnixMilli()))
	copy(b[:6], ms[2:])
	// 128 bits are 25.6 characters: the two zero bits that are missing lead.
	var padded [20]byte
	copy(padded[4:], b[:])
	return base32.NewEncoding("0123456789ABCDEFGHJKMNPQRSTVWXYZ").WithPadding(base32.NoPadding).EncodeToString(padded[:])[6:]
}

// plain makes a text one bounded line that steers no terminal.
func plain(s string) string {
	return bounded(strings.Map(func(r rune) rune {
		if !unicode.IsGraphic(r) {
			return ' '
		}
		return r
	}, s))
}
