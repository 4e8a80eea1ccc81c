package dynamostore

import (
	"encoding/base64"
	"encoding/json"

	"tollgate/pkg/idempotency"
)

// position is a place in the table or in a partition of the index: behind the item
// with this key.
type position struct {
	PK      string `json:"p,omitempty"`
	Updated int64  `json:"u,omitempty"` // ms, in the index only
	End     bool   `json:"e,omitempty"` // nothing is left
}

// cursor is where a list goes on: one position for each partition of the index, or
// one for the table.
type cursor []position

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

// tableKey is the position as a scan's start key; nil at the beginning.
func (p position) tableKey() item {
	if p.PK == "" {
		return nil
	}
	return keyOf(p.PK)
}

// indexKey is the position as a start key in a partition of the index; nil at the beginning.
func (p position) indexKey(shard string) item {
	if p.PK == "" {
		return nil
	}
	return item{"pk": str(p.PK), "open": str(shard), "upd": num(p.Updated)}
}

func positionOf(r idempotency.Record) position {
	return position{PK: idempotency.Key(r.ID), Updated: r.Updated.UnixMilli()}
}
