package dynamodb

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"

	"tollgate/pkg/local/aws/dynamodb/expr"
	"tollgate/pkg/local/aws/dynamodb/value"
)

// A stored key is
//
//	4 bytes of the partition value's hash, 2 bytes of its length, the value,
//	the range value in an order-preserving, self-delimiting form;
//
// followed by the primary key in an index. The hash scatters partitions as in DynamoDB, so
// that a scan has no useful order.

const hashBytes = 4

// partitionKey is the prefix of all stored keys of one partition value.
func partitionKey(v value.Value) []byte {
	text := []byte(v.Text)
	if v.Type == value.Num {
		text = v.Num.AppendKey(nil)
	}
	sum := sha256.Sum256(text)
	key := append(make([]byte, 0, hashBytes+2+len(text)), sum[:hashBytes]...)
	key = binary.BigEndian.AppendUint16(key, uint16(len(text)))
	return append(key, text...)
}

// appendRange appends a range value so that stored keys sort like the values.
func appendRange(key []byte, v value.Value) []byte {
	if v.Type == value.Num {
		return v.Num.AppendKey(key)
	}
	return append(appendRangeStart(key, v), 0, 0)
}

// appendRangeStart appends a string or binary without its end mark: the prefix of all values
// that start with it. Zero bytes become 00 FF, because 00 00 is the end mark.
func appendRangeStart(key []byte, v value.Value) []byte {
	return append(key, bytes.ReplaceAll([]byte(v.Text), []byte{0}, []byte{0, 0xFF})...)
}

// primaryKey makes the stored key of an item or a key; the attributes must be valid.
func (s *schema) primaryKey(item value.Item) []byte {
	return storedKey(s.Hash, s.Range, item)
}

// entryKey makes the key of an item's entry in an index; nil if the index does not hold it.
func (s *schema) entryKey(ix *index, item value.Item) []byte {
	for _, a := range ix.keys() {
		if item[a.Name].Type != a.Type {
			return nil
		}
	}
	return append(storedKey(ix.Hash, ix.Range, item), s.primaryKey(item)...)
}

func storedKey(hash, sort attribute, item value.Item) []byte {
	key := partitionKey(item[hash.Name])
	if sort.Name != "" {
		key = appendRange(key, item[sort.Name])
	}
	return key
}

// span is a range of stored keys: low ≤ key < high; nil means unbounded.
type span struct{ low, high []byte }

// prefixSpan holds all keys that begin with prefix.
func prefixSpan(prefix []byte) span { return span{prefix, after(prefix)} }

// after is the least key above all that begin with prefix; nil if there is none.
func after(prefix []byte) []byte {
	for i := len(prefix) - 1; i >= 0; i-- {
		if prefix[i] < 0xFF {
			out := bytes.Clone(prefix[:i+1])
			out[i]++
			return out
		}
	}
	return nil
}

// rangeSpan holds the keys of one partition that match the range term, if there is one.
func rangeSpan(partition []byte, term *expr.KeyTerm) span {
	all := prefixSpan(partition)
	if term == nil {
		return all
	}
	exact := appendRange(bytes.Clone(partition), term.Values[0])
	switch term.Op {
	case "=":
		return prefixSpan(exact)
	case "<":
		return span{all.low, exact}
	case "<=":
		return span{all.low, after(exact)}
	case ">":
		return span{after(exact), all.high}
	case ">=":
		return span{exact, all.high}
	case "BETWEEN":
		return span{exact, after(appendRange(bytes.Clone(partition), term.Values[1]))}
	}
	return prefixSpan(appendRangeStart(bytes.Clone(partition), term.Values[0])) // begins_with
}

// contains reports whether the key lies in the span.
func (s span) contains(key []byte) bool {
	return bytes.Compare(key, s.low) >= 0 && (s.high == nil || bytes.Compare(key, s.high) < 0)
}
