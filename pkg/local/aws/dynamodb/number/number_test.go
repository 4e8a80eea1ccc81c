package number

import (
	"bytes"
	"errors"
	"math/big"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestParse(t *testing.T) {
	nines := strings.Repeat("9", 38)
	tests := []struct {
		in, want string
		err      error
	}{
		{"0", "0", nil}, {"-0", "0", nil}, {"0e999999999999", "0", nil}, {"000", "0", nil}, {".0", "0", nil},
		{"1.0", "1", nil}, {"1e3", "1000", nil}, {"1E+3", "1000", nil}, {"007.10", "7.1", nil}, {"-12.50", "-12.5", nil}, {"+5", "5", nil}, {".5", "0.5", nil}, {"5.", "5", nil},
		{"1e-130", "0." + strings.Repeat("0", 129) + "1", nil}, {"1e-131", "", ErrUnderflow}, {"-1e-131", "", ErrUnderflow},
		{"1e125", "1" + strings.Repeat("0", 125), nil}, {"1e126", "", ErrOverflow}, {nines + "e88", nines + strings.Repeat("0", 88), nil}, {nines + "e89", "", ErrOverflow},
		{nines, nines, nil}, {nines + "9", "", ErrDigits}, {nines + "000", nines + "000", nil}, {"0.0" + nines, "0.0" + nines, nil},
		{"1e99999999999999999999", "", ErrOverflow}, {"1e-99999999999999999999", "", ErrUnderflow},
		{"", "", ErrSyntax}, {"-", "", ErrSyntax}, {".", "", ErrSyntax}, {"1e", "", ErrSyntax}, {"1e+-1", "", ErrSyntax}, {"1e1.5", "", ErrSyntax}, {"e5", "", ErrSyntax},
		{"1.2.3", "", ErrSyntax}, {"--1", "", ErrSyntax}, {" 1", "", ErrSyntax}, {"0x1", "", ErrSyntax}, {"NaN", "", ErrSyntax}, {"١", "", ErrSyntax}, {"1_000", "", ErrSyntax},
	}
	for _, tc := range tests {
		n, err := Parse(tc.in)
		if !errors.Is(err, tc.err) || err == nil && n.String() != tc.want {
			t.Errorf("Parse(%q) = %v, %v; want %s, %v", tc.in, n, err, tc.want, tc.err)
		}
	}
}

func TestArithmetic(t *testing.T) {
	nines := strings.Repeat("9", 38)
	tests := []struct {
		a, op, b, want string
		err            error
	}{
		{"0.1", "+", "0.2", "0.3", nil}, {"1", "-", "1", "0", nil}, {"1", "-", "3", "-2", nil}, {"-1", "-", "-3", "2", nil}, {"0", "-", "0", "0", nil},
		{"1e37", "+", "1", "1" + strings.Repeat("0", 36) + "1", nil}, {"1e38", "+", "1", "", ErrDigits}, {nines, "+", "1", "1" + strings.Repeat("0", 38), nil},
		{nines + "e88", "+", nines + "e88", "", ErrOverflow}, {"9e125", "+", "1e125", "", ErrOverflow}, {"1e125", "+", "1e-130", "", ErrDigits}, {"1.1e-129", "-", "1e-129", "0." + strings.Repeat("0", 129) + "1", nil}, {"1.01e-128", "-", "1e-128", "0." + strings.Repeat("0", 129) + "1", nil},
	}
	for _, tc := range tests {
		a, b := mustParse(t, tc.a), mustParse(t, tc.b)
		got, err := a.Add(b)
		if tc.op == "-" {
			got, err = a.Sub(b)
		}
		if !errors.Is(err, tc.err) || err == nil && got.String() != tc.want {
			t.Errorf("%s %s %s = %v, %v; want %s, %v", tc.a, tc.op, tc.b, got, err, tc.want, tc.err)
		}
	}
}

func mustParse(t testing.TB, s string) Number {
	n, err := Parse(s)
	if err != nil {
		t.Fatalf("Parse(%q): %v", s, err)
	}
	return n
}

// numbers draws numbers of all sizes, with many near zero and near each other.
func numbers() *rapid.Generator[Number] {
	return rapid.Custom(func(t *rapid.T) Number {
		text := rapid.StringMatching(`-?[0-9]{1,20}(\.[0-9]{1,17})?(e-?[0-9]{1,2})?`).Draw(t, "number")
		n, err := Parse(text)
		if err != nil {
			t.Skip(err)
		}
		return n
	})
}

// rational is the naive model.
func rational(t *rapid.T, n Number) *big.Rat {
	r, ok := new(big.Rat).SetString(n.String())
	if !ok {
		t.Fatalf("%v is not rational", n)
	}
	return r
}

func TestOrderAgreesWithRationals(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := numbers().Draw(t, "a"), numbers().Draw(t, "b")
		want := rational(t, a).Cmp(rational(t, b))
		if got := a.Compare(b); got != want {
			t.Errorf("Compare(%v, %v) = %d, want %d", a, b, got, want)
		}
		if (a == b) != (want == 0) {
			t.Errorf("%v == %v is %v", a, b, a == b)
		}
		tail := rapid.SliceOf(rapid.Byte()).Draw(t, "tail")
		ka, kb := append(a.AppendKey(nil), tail...), b.AppendKey(nil)
		if got := bytes.Compare(ka, kb); want != 0 && got != want {
			t.Errorf("keys of %v and %v compare as %d, want %d", a, b, got, want)
		}
	})
}

func TestSumsAgreeWithRationals(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := numbers().Draw(t, "a"), numbers().Draw(t, "b")
		sum, errSum := a.Add(b)
		if errSum == nil && rational(t, sum).Cmp(new(big.Rat).Add(rational(t, a), rational(t, b))) != 0 {
			t.Errorf("%v + %v = %v", a, b, sum)
		}
		difference, errDifference := a.Sub(b)
		if errDifference == nil && rational(t, difference).Cmp(new(big.Rat).Sub(rational(t, a), rational(t, b))) != 0 {
			t.Errorf("%v - %v = %v", a, b, difference)
		}
		if errSum == nil {
			if back, err := sum.Sub(b); err != nil || back != a {
				t.Errorf("(%v + %v) - %v = %v, %v", a, b, b, back, err)
			}
		}
	})
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"0", "-1.5e10", "00012.3400", "1e-130", "+.5E+5", "12345678901234567890123456789012345678", "x", "1e99999999999"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := Parse(s)
		if err != nil {
			return
		}
		again, err := Parse(n.String())
		if err != nil || again != n {
			t.Fatalf("%q parses to %v, that to %v, %v", s, n, again, err)
		}
		if len(s) < 200 {
			if r, ok := new(big.Rat).SetString(s); ok && r.Cmp(ratOf(t, n)) != 0 {
				t.Fatalf("%q parses to %v", s, n)
			}
		}
	})
}

func ratOf(t *testing.T, n Number) *big.Rat {
	r, ok := new(big.Rat).SetString(n.String())
	if !ok {
		t.Fatalf("%v is not rational", n)
	}
	return r
}
