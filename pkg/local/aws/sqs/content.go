package sqs

import (
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

	"tollgate/pkg/local/aws/jsonscan"
)

// text is a JSON string of a message. It marks bytes that are not UTF-8, which decoding would silently replace by
// U+FFFD.
type text struct {
	value  string
	broken bool
}

// UnmarshalJSON implements [json.Unmarshaler].
func (t *text) UnmarshalJSON(raw []byte) error {
	t.broken = !utf8.Valid(raw)
	if raw[0] != '"' {
		return json.Unmarshal(raw, &t.value)
	}
	t.value = jsonscan.Text(raw)
	return nil
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

// attribute is a message attribute, on the wire as on disk.
type attribute struct {
	DataType    string
	StringValue *string `json:",omitempty"`
	BinaryValue []byte  `json:",omitempty"`
}

// attributeInput is an attribute as a caller sends it.
type attributeInput struct {
	DataType    string
	StringValue *text
	BinaryValue []byte
}

const (
	maxAttributes    = 10
	maxAttributeName = 256
	maxNumberDigits  = 38
)

// check converts a caller's attribute into the stored form, or returns its fault.
func (in attributeInput) check(name string) (attribute, error) {
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
