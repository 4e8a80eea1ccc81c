package value

import (
	"encoding/base64"
	"maps"
	"slices"

	"tollgate/pkg/local/aws/jsonscan"
)

// MarshalJSON writes the item's wire form, names sorted: equal items give equal bytes.
func (it Item) MarshalJSON() ([]byte, error) { return it.append(nil), nil }

// MarshalJSON writes the value's wire form, for example {"S":"a"}.
func (v Value) MarshalJSON() ([]byte, error) { return v.append(nil), nil }

func (it Item) append(dst []byte) []byte {
	dst = append(dst, '{')
	for i, name := range slices.Sorted(maps.Keys(it)) {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = jsonscan.Append(dst, name)
		dst = append(dst, ':')
		dst = it[name].append(dst)
	}
	return append(dst, '}')
}

func (v Value) append(dst []byte) []byte {
	dst = append(dst, '{', '"')
	dst = append(dst, v.Type...)
	dst = append(dst, '"', ':')
	return append(v.appendContent(dst), '}')
}

func (v Value) appendContent(dst []byte) []byte {
	switch v.Type {
	case String:
		return jsonscan.Append(dst, v.Text)
	case Num:
		return jsonscan.Append(dst, v.Num.String())
	case Binary:
		return jsonscan.Append(dst, base64.StdEncoding.EncodeToString([]byte(v.Text)))
	case Null:
		return append(dst, "true"...)
	case Map:
		return v.Map.append(dst)
	case List, StringSet, NumberSet, BinarySet:
		dst = append(dst, '[')
		for i, e := range v.List {
			if i > 0 {
				dst = append(dst, ',')
			}
			if v.Type == List {
				dst = e.append(dst)
			} else {
				dst = e.appendContent(dst)
			}
		}
		return append(dst, ']')
	}
	if v.Bool {
		return append(dst, "true"...)
	}
	return append(dst, "false"...)
}
