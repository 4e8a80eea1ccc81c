package dynamostore

import (
	"encoding/base64"
	"encoding/json"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"tollgate/pkg/dispatch"
)

// position is a place in the table or in a partition of an index: behind the item
// with this key.
type position struct {
	PK      string `json:"p,omitempty"`
	Updated int64  `json:"u,omitempty"` // ms, in OpenIndex only
	At      string `json:"t,omitempty"` // in ListIndex only
	End     bool   `json:"e,omitempty"` // nothing is left
}

func positionOf(row item) position {
	a := attributeReader{item: row}
	return position{PK: a.str("pk"), Updated: a.num("upd", 0), At: a.str(dispatch.ListOrder)}
}

// cursor is where a list continues: one position for each partition of the index, or
// one for the table.
type cursor []position

// encode returns "" for a list that has ended.
func (c cursor) encode() string {
	for _, p := range c {
		if !p.End {
			return encodeCursor(c)
		}
	}
	return ""
}

// positionsOf reads a cursor of so many positions; "" is the beginning.
func positionsOf(s string, positions int) (c cursor, err error) {
	if s == "" {
		return make(cursor, positions), nil
	}
	if err := decodeCursor(s, &c); err != nil || len(c) != positions {
		return nil, ErrCursor
	}
	return c, nil
}

// encodeCursor encodes what has only strings, integers and booleans.
func encodeCursor(v any) string {
	raw, _ := json.Marshal(v) // cannot fail
	return base64.RawURLEncoding.EncodeToString(raw)
}

func decodeCursor(s string, to any) error {
	raw, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || json.Unmarshal(raw, to) != nil {
		return ErrCursor
	}
	return nil
}

// merge reads partitions of an index as one list.
type merge struct {
	// read returns the next page of a partition, nil when no more may be read.
	read   func(*partition) (*dynamodb.QueryOutput, error)
	keep   func(item) bool
	before func(a, b position) bool // of equal items the earlier partition's comes first
}

// partition of an index, read a page at a time.
type partition struct {
	name  string
	at    position // behind the last item that was taken or passed over
	start position // of the next page
	next  []item   // read and not yet taken
}

// take returns at most limit items that come after a cursor.
func (m merge) take(names []string, after string, limit int) (rows []item, next string, err error) {
	at, err := positionsOf(after, len(names))
	if err != nil {
		return nil, "", err
	}
	partitions := make([]*partition, len(names))
	for i, name := range names {
		partitions[i] = &partition{name: name, at: at[i], start: at[i]}
	}
	for len(rows) < limit {
		first, err := m.first(partitions)
		if err != nil {
			return nil, "", err
		}
		if first == nil {
			break
		}
		rows = append(rows, first.take())
	}
	for i, p := range partitions {
		at[i] = p.at
	}
	return rows, at.encode(), nil
}

// first reads on in every partition that has no item at hand, and returns the one whose item
// comes first. It returns nil when all are at their end, or when no more may be read: then
// the first item is unknown.
func (m merge) first(partitions []*partition) (first *partition, err error) {
	for _, p := range partitions {
		for len(p.next) == 0 && !p.start.End {
			out, err := m.read(p)
			if out == nil || err != nil {
				return nil, err
			}
			p.add(out, m.keep)
		}
		if len(p.next) > 0 && (first == nil || m.before(positionOf(p.next[0]), positionOf(first.next[0]))) {
			first = p
		}
	}
	return first, nil
}

func (p *partition) add(out *dynamodb.QueryOutput, keep func(item) bool) {
	for _, row := range out.Items {
		p.start = positionOf(row)
		if keep(row) {
			p.next = append(p.next, row)
		}
	}
	p.start.End = len(out.LastEvaluatedKey) == 0 || len(out.Items) == 0
	if len(p.next) == 0 {
		p.at = p.start
	}
}

func (p *partition) take() item {
	row := p.next[0]
	p.next, p.at = p.next[1:], positionOf(row)
	if len(p.next) == 0 {
		p.at = p.start // no item read after this one matched
	}
	return row
}
