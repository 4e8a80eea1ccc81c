package alarmtest

import (
	"fmt"
	"maps"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// series are the values of a metric or an expression by bucket; bucket 0 is the newest. A bucket
// without data has no value.
type series map[int]float64

// operand is a number, a series or an array of series.
type operand struct {
	number float64
	series series // nil for a number
	array  []series
}

// math evaluates a metric math expression as the CloudWatch user guide ("Using math expressions")
// has it: a function of an array leaves missing values out. Whether an operator takes one as 0 where
// its other operand has a value is one of the assumptions.
type math struct {
	tokens  []string
	metrics map[string]series
	order   []string            // of the metrics
	buckets int                 // that were retrieved
	start   func(int) time.Time // of a bucket
	assumed assumptions
}

func evaluate(expression string, m math) (s series, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%s: %v", expression, p)
		}
	}()
	got := m.level(0)
	if len(m.tokens) > 0 || got.series == nil {
		return nil, fmt.Errorf("%s is no series: %v are left", expression, m.tokens)
	}
	return got.series, nil
}

// tokens are an expression's parts.
func tokens(t *testing.T, expression string) []string {
	t.Helper()
	all := regexp.MustCompile(`\d+(\.\d+)?|[A-Za-z_][A-Za-z_0-9]*|==|!=|<=|>=|[-+*/(),<>\[\]]`).FindAllString(expression, -1)
	if joined := strings.Join(all, ""); joined != strings.ReplaceAll(expression, " ", "") {
		t.Fatalf("%s has more than is read: %s", expression, joined)
	}
	return all
}

// levels are the operators from the loosest to the tightest.
func levels() [][]string {
	return [][]string{{"OR"}, {"AND"}, {"==", "!=", "<=", ">=", "<", ">"}, {"+", "-"}, {"*", "/"}}
}

func (m *math) peek() string {
	if len(m.tokens) == 0 {
		return ""
	}
	return m.tokens[0]
}

func (m *math) next() string {
	token := m.peek()
	m.tokens = m.tokens[1:]
	return token
}

func (m *math) expect(token string) {
	if got := m.next(); got != token {
		panic(fmt.Sprintf("%q instead of %q", got, token))
	}
}

func (m *math) level(n int) operand {
	if n == len(levels()) {
		return m.primary()
	}
	left := m.level(n + 1)
	for {
		found := false
		for _, op := range levels()[n] {
			if found = m.peek() == op; found {
				m.next()
				left = m.combine(op, left, m.level(n+1))
				break
			}
		}
		if !found {
			return left
		}
	}
}

func (m *math) primary() operand {
	token := m.next()
	if number, err := strconv.ParseFloat(token, 64); err == nil {
		return operand{number: number}
	}
	if token == "-" {
		of := m.primary()
		return m.combine("-", operand{}, of)
	}
	if token == "[" {
		all := operand{array: []series{}}
		for m.peek() != "]" {
			all.array = append(all.array, m.level(0).series)
			if m.peek() == "," {
				m.next()
			}
		}
		m.expect("]")
		return all
	}
	if token == "(" {
		inner := m.level(0)
		m.expect(")")
		return inner
	}
	if s, is := m.metrics[token]; is {
		return operand{series: s}
	}
	m.expect("(")
	if token == "FILL" {
		return m.fill()
	}
	var arguments []operand
	for m.peek() != ")" {
		if arguments = append(arguments, m.level(0)); m.peek() == "," {
			m.next()
		}
	}
	m.expect(")")
	return m.call(token, arguments)
}

func (m *math) call(name string, a []operand) operand {
	switch {
	case name == "METRICS" && len(a) == 0:
		all := operand{}
		for _, id := range m.order {
			all.array = append(all.array, m.metrics[id])
		}
		return all
	case name == "IF" && len(a) == 3 && a[1].series == nil && a[2].series == nil:
		out := series{}
		for i, v := range a[0].series {
			if out[i] = a[2].number; v != 0 {
				out[i] = a[1].number
			}
		}
		return operand{series: out}
	case name == "DIFF" && len(a) == 1: // to the value before, however old; the first has none
		out := series{}
		for before, i := m.buckets, m.buckets-1; i >= 0; i-- {
			v, is := a[0].series[i]
			if is && before < m.buckets {
				out[i] = v - a[0].series[before]
			}
			if is {
				before = i
			}
		}
		return operand{series: out}
	case (name == "MAX" || name == "SUM") && len(a) == 1 && a[0].array != nil:
		out := series{}
		for _, s := range a[0].array {
			for i, v := range s {
				before, is := out[i]
				if out[i] = v + before; name == "MAX" {
					if out[i] = v; is {
						out[i] = max(v, before)
					}
				}
			}
		}
		return operand{series: out}
	case (name == "HOUR" || name == "DAY") && len(a) == 1:
		out := series{}
		for i := range m.buckets {
			at := m.start(i)
			if out[i] = float64(at.Hour()); name == "DAY" {
				out[i] = float64((int(at.Weekday())+6)%7 + 1) // Monday is 1
			}
		}
		return operand{series: out}
	}
	panic(fmt.Sprintf("%s of %d arguments is not known here", name, len(a)))
}

// fill reads the arguments of FILL behind its bracket. Whether it makes values of no value at all is
// one of the assumptions.
func (m *math) fill() operand {
	of := m.level(0)
	m.expect(",")
	with := m.next()
	m.expect(")")
	out := maps.Clone(of.series)
	if len(out) == 0 && !m.assumed.fillsNothing {
		return operand{series: series{}}
	}
	last, some := 0.0, false
	for i := m.buckets - 1; i >= 0; i-- {
		if v, is := out[i]; is {
			last, some = v, true
			continue
		}
		if with == "REPEAT" && some {
			out[i] = last
		} else if number, err := strconv.ParseFloat(with, 64); err == nil {
			out[i] = number
		}
	}
	return operand{series: out}
}

func (m *math) combine(op string, a, b operand) operand {
	if a.series == nil && b.series == nil {
		v, _ := apply(op, a.number, b.number)
		return operand{number: v}
	}
	out := series{}
	for _, s := range []series{a.series, b.series} {
		for i := range s {
			x, y, both := a.number, b.number, true
			if a.series != nil {
				x, both = a.series[i], has(a.series, i)
			}
			if b.series != nil {
				y, both = b.series[i], both && has(b.series, i)
			}
			if v, is := apply(op, x, y); is && (both || !m.assumed.strict) {
				out[i] = v
			}
		}
	}
	return operand{series: out}
}

func has(s series, i int) bool {
	_, is := s[i]
	return is
}

// apply returns false for what is dropped: a division by 0.
func apply(op string, x, y float64) (float64, bool) {
	is := map[string]bool{
		"OR": x != 0 || y != 0, "AND": x != 0 && y != 0, "==": x == y, "!=": x != y, "<=": x <= y, ">=": x >= y, "<": x < y, ">": x > y,
	}
	if truth, compares := is[op]; compares {
		if truth {
			return 1, true
		}
		return 0, true
	}
	switch op {
	case "+":
		return x + y, true
	case "-":
		return x - y, true
	case "*":
		return x * y, true
	default:
		return x / y, y != 0
	}
}
