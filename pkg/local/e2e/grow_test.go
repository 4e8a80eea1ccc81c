//go:build unix

package e2e_test

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"tollgate/pkg/idempotency"
	"tollgate/pkg/local"
	"tollgate/pkg/local/aws/dynamodb"
)

// grow fills the table of a stopped system with copies of its events and of what these wrote,
// until it has so many records. Each copy is of other events, objects and customers, and is older.
// The items are those of a real run, so that they have the form that the product writes.
func grow(t *testing.T, data string, records int) {
	t.Helper()
	defer debug.SetGCPercent(debug.SetGCPercent(800))
	db, err := dynamodb.Open(filepath.Join(data, "dynamodb.db"), dynamodb.Options{})
	must(t, err)
	defer func() { must(t, db.Close()) }()
	call := func(operation string, body []byte) ([]byte, error) {
		out, err := db.Service().Operations[operation](context.Background(), body)
		if err != nil {
			return nil, err
		}
		return json.Marshal(out)
	}
	var originals []original
	here := 0
	for body := []byte(`{"TableName":"` + local.TableName + `"}`); body != nil; {
		var page struct {
			Items            []json.RawMessage
			LastEvaluatedKey json.RawMessage
		}
		answer, err := call("Scan", body)
		must(t, err)
		must(t, json.Unmarshal(answer, &page))
		for _, item := range page.Items {
			o := newOriginal(t, item)
			if o.record {
				here++
			}
			if len(o.key.gaps) > 0 {
				originals = append(originals, o)
			}
		}
		body = nil
		if page.LastEvaluatedKey != nil {
			body = []byte(`{"TableName":"` + local.TableName + `","ExclusiveStartKey":` + string(page.LastEvaluatedKey) + `}`)
		}
	}
	if here == 0 {
		t.Fatal("grow: the table has no records to copy")
	}
	var writes errgroup.Group
	writes.SetLimit(256) // they share commits
	for some := range slices.Chunk(copies(originals, records/here), 100) {
		writes.Go(func() error {
			body := []byte(`{"TransactItems":[`)
			for i, c := range some {
				if i > 0 {
					body = append(body, ',')
				}
				body = append(body, `{"Put":{"TableName":"`+local.TableName+`","Item":`...)
				body = append(originals[c.original].appendItem(body, c.number), `}}`...)
			}
			_, err := call("TransactWriteItems", append(body, `]}`...))
			return err
		})
	}
	must(t, writes.Wait())
}

// original is an item to copy.
type original struct {
	key, item template
	record    bool
}

// newOriginal has no gaps for what is there once: switches, coverage, the audit trail.
func newOriginal(t *testing.T, item []byte) original {
	var keys struct{ PK struct{ S string } }
	must(t, json.Unmarshal(item, &keys))
	return original{newTemplate([]byte(keys.PK.S)), newTemplate(item), strings.HasPrefix(keys.PK.S, idempotency.KeyPrefix)}
}

// template is a text: parts with an id, a time or an index's partition between each two.
type template struct {
	parts []string
	gaps  []string
}

func newTemplate(text []byte) (o template) {
	from := 0
	differs := regexp.MustCompile(`\b[a-z]{2,4}_(?:test_)?[0-9A-Za-z]{12,}|"N":"1[78]\d{8}(?:\d{3})?"|"open":\{"S":"o#\d"\}`)
	for _, at := range differs.FindAllIndex(text, -1) {
		o.parts, o.gaps = append(o.parts, string(text[from:at[0]])), append(o.gaps, string(text[at[0]:at[1]]))
		from = at[1]
	}
	o.parts = append(o.parts, string(text[from:]))
	return o
}

// copied appends the text of a copy: each id ends with its number, each time is ten minutes
// earlier for each number before, but what expires later does not.
func (o template) copied(to []byte, number int, shard string) []byte {
	for i, gap := range o.gaps {
		to = append(to, o.parts[i]...)
		digits, isTime := strings.CutPrefix(gap, `"N":"`)
		n, _ := strconv.ParseInt(strings.TrimSuffix(digits, `"`), 10, 64)
		by := int64(number) * 600
		switch {
		case isTime && n > 1e12:
			to = fmt.Appendf(to, `"N":"%d"`, n-by*1000)
		case isTime && n < time.Now().Unix():
			to = fmt.Appendf(to, `"N":"%d"`, n-by)
		case strings.HasPrefix(gap, `"open"`):
			to = fmt.Appendf(to, `"open":{"S":%q}`, shard)
		case isTime:
			to = append(to, gap...)
		default:
			to = strconv.AppendInt(append(to, gap...), int64(1_000_000+number), 10)
		}
	}
	return append(to, o.parts[len(o.parts)-1]...)
}

// copyOf is one copy of an original; place is where the file has it.
type copyOf struct {
	place            uint32
	original, number int
}

// copies are in the order of the file, so that it is written about in sequence.
func copies(originals []original, n int) (all []copyOf) {
	var key []byte
	for number := 1; number < n; number++ {
		for i, o := range originals {
			key = o.key.copied(key[:0], number, "")
			sum := sha256.Sum256(key)
			all = append(all, copyOf{binary.BigEndian.Uint32(sum[:]), i, number})
		}
	}
	slices.SortFunc(all, func(a, b copyOf) int { return cmp.Compare(a.place, b.place) })
	return all
}

func (o original) appendItem(to []byte, number int) []byte {
	shard := ""
	if o.record {
		id := strings.TrimPrefix(string(o.key.copied(nil, number, "")), idempotency.KeyPrefix)
		shard = idempotency.Shard(id)
	}
	return o.item.copied(to, number, shard)
}
