package dynamostore

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"tollgate/pkg/idempotency"
)

// The history of failed attempts is one string, so that ten attempts with one cause have some
// 240 bytes: the version, then for each attempt |number,start,took,fingerprint,frame. Times are ms
// in base 36. A fingerprint or frame like the attempt's before is empty, an unknown one "-".
const historyVersion = "1"

func historyString(attempts []idempotency.Attempt) types.AttributeValue {
	var b strings.Builder
	b.WriteString(historyVersion)
	var last idempotency.Attempt
	for _, a := range attempts {
		fmt.Fprintf(&b, "|%d,%s,%s,%s,%s", a.Number, strconv.FormatInt(a.Start.UnixMilli(), 36), strconv.FormatInt(a.Took.Milliseconds(), 36),
			unlike(last.Fingerprint, a.Fingerprint), unlike(last.Frame, a.Frame))
		last = a
	}
	return str(b.String())
}

func unlike(last, s string) string {
	if s == last {
		return ""
	}
	return cmp.Or(s, "-")
}

// historyAttempts returns none for a history that cannot be read, such as a newer release's: it is
// for people, and must not keep an event from being handled.
func historyAttempts(v types.AttributeValue) []idempotency.Attempt {
	s, _ := v.(*types.AttributeValueMemberS)
	if s == nil {
		return nil
	}
	parts := strings.Split(s.Value, "|")
	if parts[0] != historyVersion || len(parts) > idempotency.MaxHistory+1 {
		return nil
	}
	var attempts []idempotency.Attempt
	var last idempotency.Attempt
	for _, part := range parts[1:] {
		a, ok := readAttempt(part, last)
		if !ok {
			return nil
		}
		attempts, last = append(attempts, a), a
	}
	return attempts
}

func readAttempt(s string, last idempotency.Attempt) (a idempotency.Attempt, ok bool) {
	f := strings.Split(s, ",")
	if len(f) != 5 {
		return a, false
	}
	number, err1 := strconv.ParseInt(f[0], 10, 64)
	start, err2 := strconv.ParseInt(f[1], 36, 64)
	took, err3 := strconv.ParseUint(f[2], 36, 31)
	if cmp.Or(err1, err2, err3) != nil {
		return a, false
	}
	return idempotency.Attempt{
		Number: number, Start: time.UnixMilli(start).UTC(), Took: time.Duration(took) * time.Millisecond,
		Fingerprint: like(last.Fingerprint, f[3]), Frame: like(last.Frame, f[4]),
	}, true
}

func like(last, s string) string {
	switch s {
	case "":
		return last
	case "-":
		return ""
	default:
		return s
	}
}
