// Package number is the decimal of DynamoDB's type N: up to 38 significant
// digits, magnitudes from 1E-130 to 9.99…E+125, zero, and exact arithmetic.
//
// A Number is a comparable value: == is numeric equality, because every number has only one
// form. Numbers are never rounded; one that does not fit is an error.
//
//	n, err := number.Parse("1e3")
//	n.String() // "1000"
package number

import (
	"math/big"
	"strconv"
	"strings"
)

// MaxDigits is how many significant digits a Number holds.
const MaxDigits = 38

// With 0.d₁d₂… × 10^exp these are the exponents of 1E-130 and of 9.99…E+125.
const (
	minExp = -129
	maxExp = 126
)

// Error is an error with DynamoDB's message.
type Error string

// Error returns the message.
func (e Error) Error() string { return string(e) }

// Errors of Parse and the arithmetic.
const (
	ErrOverflow  = Error("Number overflow. Attempting to store a number with magnitude larger than supported range")
	ErrUnderflow = Error("Number underflow. Attempting to store a number with magnitude smaller than supported range")
	ErrDigits    = Error("Attempting to store more than 38 significant digits in a Number")
	ErrSyntax    = Error("The parameter cannot be converted to a numeric value")
)

// Number is ±0.digits × 10^exp. The zero value is 0.
type Number struct {
	negative bool
	digits   string // neither starts nor ends with '0'; empty for zero
	exp      int
}

// FromInt returns n.
func FromInt(n int64) Number {
	v, _ := fromDigits(n < 0, strings.TrimPrefix(strconv.FormatInt(n, 10), "-"), 0) // 19 digits always fit
	return v
}

// Parse reads a decimal such as "-12.50", ".5" or "1E-7". It returns ErrSyntax,
// ErrDigits, ErrOverflow or ErrUnderflow; leading and trailing zeros do not count.
func Parse(s string) (Number, error) {
	negative := strings.HasPrefix(s, "-")
	if negative || strings.HasPrefix(s, "+") {
		s = s[1:]
	}
	mantissa, exponent, err := cutExponent(s)
	if err != nil {
		return Number{}, err
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	digits := whole + fraction
	if digits == "" || strings.Trim(digits, "0123456789") != "" {
		return Number{}, ErrSyntax
	}
	return fromDigits(negative, digits, exponent-len(fraction))
}

// cutExponent splits "12e3" into "12" and 3. Exponents far out of range are
// clamped: only zero survives them, and for zero the exponent means nothing.
func cutExponent(s string) (string, int, error) {
	i := strings.IndexAny(s, "eE")
	if i < 0 {
		return s, 0, nil
	}
	text := strings.TrimLeft(s[i+1:], "+-")
	if text == "" || strings.Trim(text, "0123456789") != "" || len(s)-i-1-len(text) > 1 {
		return "", 0, ErrSyntax
	}
	const far = 1 << 30
	n, err := strconv.Atoi(text)
	if err != nil || n > far {
		n = far
	}
	if s[i+1] == '-' {
		n = -n
	}
	return s[:i], n, nil
}

// fromDigits makes ±digits × 10^scale, in its one form and within range.
func fromDigits(negative bool, digits string, scale int) (Number, error) {
	digits = strings.TrimLeft(digits, "0")
	exp := len(digits) + scale
	digits = strings.TrimRight(digits, "0")
	switch {
	case digits == "":
		return Number{}, nil
	case exp > maxExp:
		return Number{}, ErrOverflow
	case exp < minExp:
		return Number{}, ErrUnderflow
	case len(digits) > MaxDigits:
		return Number{}, ErrDigits
	}
	return Number{negative: negative, digits: digits, exp: exp}, nil
}

// String writes the number as DynamoDB does: plainly, without an exponent.
func (n Number) String() string {
	var body string
	switch d := n.digits; {
	case d == "":
		return "0"
	case n.exp <= 0:
		body = "0." + strings.Repeat("0", -n.exp) + d
	case n.exp >= len(d):
		body = d + strings.Repeat("0", n.exp-len(d))
	default:
		body = d[:n.exp] + "." + d[n.exp:]
	}
	if n.negative {
		return "-" + body
	}
	return body
}

// Int64 returns the number without its fraction; false if it does not fit.
func (n Number) Int64() (int64, bool) {
	whole, _, _ := strings.Cut(n.String(), ".")
	v, err := strconv.ParseInt(whole, 10, 64)
	return v, err == nil
}

// Add returns n + m exactly, or ErrDigits, ErrOverflow or ErrUnderflow.
func (n Number) Add(m Number) (Number, error) {
	scale := min(n.scale(), m.scale())
	sum := new(big.Int).Add(n.integer(scale), m.integer(scale))
	return fromDigits(sum.Sign() < 0, new(big.Int).Abs(sum).String(), scale)
}

// Sub returns n − m exactly, or an error as Add.
func (n Number) Sub(m Number) (Number, error) {
	m.negative = !m.negative && m.digits != ""
	return n.Add(m)
}

// scale is the power of ten of the last digit.
func (n Number) scale() int { return n.exp - len(n.digits) }

// integer returns n / 10^scale; scale is at most n's own.
func (n Number) integer(scale int) *big.Int {
	if n.digits == "" {
		return new(big.Int)
	}
	v, _ := new(big.Int).SetString(n.digits+strings.Repeat("0", n.scale()-scale), 10)
	if n.negative {
		v.Neg(v)
	}
	return v
}

// Size is what the number counts towards an item's size in bytes: one for two
// digits, one more, and one for a minus sign.
func (n Number) Size() int {
	size := (len(n.digits)+1)/2 + 1
	if n.negative {
		size++
	}
	return size
}
