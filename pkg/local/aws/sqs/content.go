package sqs

import (
	"bytes"
	"cmp"
	"crypto/md5"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// text is a JSON string of a message. It marks what decoding would silently replace by U+FFFD: bytes that are not
// UTF-8 and unpaired surrogates.
type text struct {
	value  string
	broken bool
}

// UnmarshalJSON implements [json.Unmarshaler].
func (t *text) UnmarshalJSON(raw []byte) error {
	t.broken = !utf8.Valid(raw) || loneSurrogate(raw)
	return json.Unmarshal(raw, &t.value)
}

// allowed reports whether SQS accepts the characters.
func (t text) allowed() bool {
	if t.broken {
		return false
	}
	for _, r := range t.value {
		if !(r >= 0x20 && r <= 0xD7FF || r == '\t' || r == '\n' || r == '\r' || r >= 0xE000 && r <= 0xFFFD || r >= 0x10000) {
			return false
		}
	}
	return true
}

// loneSurrogate finds a \uD800–\uDFFF escape without its other half in a valid JSON string.
func loneSurrogate(raw []byte) bool {
	for {
		i := bytes.IndexByte(raw, '\\')
		if i < 0 || i+1 >= len(raw) {
			return false
		}
		unit, isEscape := escapedUnit(raw[i:])
		if !isEscape {
			raw = raw[i+2:]
			continue
		}
		raw = raw[i+6:]
		switch {
		case unit >= 0xDC00 && unit <= 0xDFFF:
			return true
		case unit >= 0xD800 && unit <= 0xDBFF:
			low, isEscape := escapedUnit(raw)
			if !isEscape || low < 0xDC00 || low > 0xDFFF {
				return true
			}
			raw = raw[6:]
		}
	}
}

// escapedUnit reads the \uXXXX that b begins with.
func escapedUnit(b []byte) (uint64, bool) {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return 0, false
	}
	unit, err := strconv.ParseUint(string(b[2:6]), 16, 16)
	return unit, err == nil
}

// attribute is a message attribute, on the wire as on disk.
type attribute struct {
	DataType    string
	StringValue *string `json:",omitempty"`
	BinaryValue []byte  `json:",omitempty"`
}

// attributeInput is an attribute as a caller sends it.
type attributeInput struct {
	DataType         string
	StringValue      *text
	BinaryValue      []byte
	StringListValues []json.RawMessage
	BinaryListValues []json.RawMessage
}

const (
	maxAttributes    = 10
	maxAttributeName = 256
	maxNumberDigits  = 38
)

// check converts a caller's attribute into the stored form, or returns its fault.
func (in attributeInput) check(name string) (attribute, error) {
	if len(in.StringListValues) > 0 || len(in.BinaryListValues) > 0 {
		return attribute{}, errUnsupported("Message attribute list values in SendMessage operation are not supported.")
	}
	kind, _, _ := strings.Cut(in.DataType, ".")
	if len(in.DataType) > maxAttributeName || kind != "String" && kind != "Number" && kind != "Binary" {
		return attribute{}, errInvalidParameter("The message attribute '%s' has an invalid message attribute type, "+
			"the set of supported type prefixes is Binary, Number, and String.", name)
	}
	empty := errInvalidParameter("Message attribute '%s' must contain a non-empty value of type '%s'.", name, kind)
	if kind == "Binary" {
		if len(in.BinaryValue) == 0 || in.StringValue != nil {
			return attribute{}, empty
		}
		return attribute{DataType: in.DataType, BinaryValue: in.BinaryValue}, nil
	}
	if in.StringValue == nil || in.StringValue.value == "" || in.BinaryValue != nil {
		return attribute{}, empty
	}
	if !in.StringValue.allowed() {
		return attribute{}, errContents("message attribute '" + name + "'")
	}
	if kind == "Number" && !isNumber(in.StringValue.value) {
		return attribute{}, errInvalidParameter("Can't cast the value of message attribute '%s' to a number.", name)
	}
	return attribute{DataType: in.DataType, StringValue: &in.StringValue.value}, nil
}

// checkAttributes checks a message's attributes together.
func checkAttributes(in map[string]attributeInput) (map[string]attribute, error) {
	if len(in) > maxAttributes {
		return nil, errInvalidParameter("Number of message attributes [%d] exceeds the allowed maximum [%d].", len(in), maxAttributes)
	}
	if len(in) == 0 {
		return nil, nil
	}
	out := make(map[string]attribute, len(in))
	for _, name := range slices.Sorted(maps.Keys(in)) {
		if err := checkAttributeName(name); err != nil {
			return nil, err
		}
		a, err := in[name].check(name)
		if err != nil {
			return nil, err
		}
		out[name] = a
	}
	return out, nil
}

func checkAttributeName(name string) error {
	lower := strings.ToLower(name)
	allowed := func(c byte) bool { return isQueueNameChar(c) || c == '.' }
	if name == "" || len(name) > maxAttributeName || !only(name, allowed) ||
		strings.HasPrefix(name, ".") || strings.HasSuffix(name, ".") || strings.Contains(name, "..") ||
		strings.HasPrefix(lower, "aws.") || strings.HasPrefix(lower, "amazon.") {
		return errInvalidParameter("Invalid message attribute name %q: 1 to 256 alphanumeric characters, underscores, hyphens "+
			"and periods, with no period first, last or next to another, and not beginning with AWS. or Amazon.", name)
	}
	return nil
}

// isNumber checks a value by the documented bounds: up to 38 digits, 10^-128 to 10^126.
func isNumber(s string) bool {
	parts := regexp.MustCompile(`^[+-]?(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d{1,4}))?$`).FindStringSubmatch(s)
	if parts == nil || parts[1]+parts[2] == "" {
		return false
	}
	digits := strings.TrimLeft(parts[1]+parts[2], "0")
	leading := len(parts[1]+parts[2]) - len(digits)
	exponent, _ := strconv.Atoi(cmp.Or(parts[3], "0"))
	if digits == "" {
		return true // zero
	}
	magnitude := len(parts[1]) - leading - 1 + exponent // of the first digit
	return len(strings.TrimRight(digits, "0")) <= maxNumberDigits && magnitude >= -128 && magnitude <= 126
}

// attributesMD5 is the digest that SDKs compare: length-prefixed names, types and values in the order of names.
func attributesMD5(attributes map[string]attribute) string {
	if len(attributes) == 0 {
		return ""
	}
	h := md5.New()
	write := func(b []byte) {
		h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(b))))
		h.Write(b)
	}
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		a := attributes[name]
		write([]byte(name))
		write([]byte(a.DataType))
		if a.StringValue != nil {
			h.Write([]byte{1})
			write([]byte(*a.StringValue))
			continue
		}
		h.Write([]byte{2})
		write(a.BinaryValue)
	}
	return hex.EncodeToString(h.Sum(nil))
}

func bodyMD5(body string) string {
	sum := md5.Sum([]byte(body))
	return hex.EncodeToString(sum[:])
}
