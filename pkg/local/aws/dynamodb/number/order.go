package number

import (
	"cmp"
	"strings"
)

// First byte of a key: it orders negative numbers, zero and positive numbers.
const (
	keyNegative = 0x01
	keyZero     = 0x02
	keyPositive = 0x03
)

// Compare returns -1, 0 or +1 as n is less than, equal to or greater than m.
func (n Number) Compare(m Number) int {
	if s, t := n.sign(), m.sign(); s != t || s == 0 {
		return cmp.Compare(s, t)
	}
	c := cmp.Compare(n.exp, m.exp)
	if c == 0 {
		c = strings.Compare(n.digits, m.digits) // no trailing zeros, so text order is numeric order
	}
	if n.negative {
		c = -c
	}
	return c
}

func (n Number) sign() int {
	switch {
	case n.digits == "":
		return 0
	case n.negative:
		return -1
	}
	return 1
}

// AppendKey appends bytes that sort like the numbers, whatever is appended after them: no key
// is a prefix of another.
func (n Number) AppendKey(dst []byte) []byte {
	if n.digits == "" {
		return append(dst, keyZero)
	}
	class, flip := byte(keyPositive), byte(0)
	if n.negative {
		class, flip = keyNegative, 0xFF // greater magnitudes come first
	}
	dst = append(dst, class, byte(n.exp-minExp)^flip)
	for i := range len(n.digits) {
		dst = append(dst, n.digits[i]^flip)
	}
	return append(dst, 0^flip)
}
