package alarmtest

import (
	"maps"
	"strings"
	"testing"
	"time"
)

// points reads values, the oldest first; "-" is none.
func points(text string) series {
	s, fields := series{}, strings.Fields(text)
	for i, field := range fields {
		if v, is := map[string]float64{"0": 0, "X": 1, "1": 1, "5": 5, "20": 20, "30": 30, "50": 50}[field]; is {
			s[len(fields)-1-i] = v
		}
	}
	return s
}

// TestDocumentedStates are the tables of the user guide's "Configuring how CloudWatch alarms treat
// missing data", of five values each.
func TestDocumentedStates(t *testing.T) {
	for _, c := range []struct {
		points                   string
		breaching                int // of three
		asBreaching, notBreached bool
	}{
		{"0 - X - X", 3, false, false}, {"- - - - 0", 3, false, false}, {"- - - - -", 3, true, false}, {"0 X X - X", 3, true, true}, {"- - X - -", 3, true, false},
		{"0 - X - X", 2, true, true}, {"0 0 X 0 X", 2, true, true}, {"0 - X - -", 2, true, false}, {"- - - - 0", 2, true, false}, {"- - - - X", 2, true, false},
	} {
		for treatment, want := range map[string]bool{"breaching": c.asBreaching, "notBreaching": c.notBreached} {
			var a alarm
			a.Properties.Threshold, a.Properties.ComparisonOperator, a.Properties.TreatMissingData = 1, "GreaterThanOrEqualToThreshold", treatment
			a.Properties.EvaluationPeriods, a.Properties.DatapointsToAlarm = 3, c.breaching
			if got := a.breaches(points(c.points), 5); got != want {
				t.Errorf("%s, %d of 3, missing is %s: %v, want %v", c.points, c.breaching, treatment, got, want)
			}
		}
	}
}

// TestDocumentedMath are examples of the user guide's "Using math expressions", and of each function
// that an alarm here uses.
func TestDocumentedMath(t *testing.T) {
	for _, c := range []struct{ expression, want string }{
		{"a < b", "0 0 1 0"}, {"a >= 30", "1 0 0 0"}, {"a > 15 AND b > 15", "1 0 0 0"}, {"IF(c, 5, 20)", "5 5 20 20 -"},
		{"SUM([a, b])", "50 20 20 0"}, {"MAX([a, b])", "30 20 20 0"}, {"MAX(METRICS())", "30 20 20 0"}, {"FILL(b, 0)", "20 0 20 0"},
		{"FILL(b, REPEAT)", "20 20 20 20"}, {"FILL(FILL(d, REPEAT), 0)", "0 0 5 5"}, {"DIFF(FILL(FILL(d, REPEAT), 0))", "- 0 5 0"}, {"DIFF(d)", "- - - -"},
		{"a - 20 * 1 > 0 OR (a == 20)", "1 1 0 0"}, {"a / a", "1 1 - -"}, {"HOUR(a)", "5 5 5 5"}, {"DAY(d)", "1 1 1 1"}, {"-1 * a + 30 + a", "30 30 30 30"},
	} {
		metrics := map[string]series{"a": points("30 20 0 0"), "b": points("20 - 20 -"), "c": points("1 1 0 0 -"), "d": points("- - 5 -")}
		m := math{metrics: maps.Clone(metrics), order: []string{"a", "b"}, buckets: 4, start: func(int) time.Time { return monday().Add(5 * time.Hour) }}
		m.tokens = tokens(t, c.expression)
		got, err := evaluate(c.expression, m)
		if want := points(c.want); err != nil || !maps.Equal(got, want) {
			t.Errorf("%s: %v, %v, want %v", c.expression, got, err, want)
		}
	}
	for _, wrong := range []string{"SEARCH(a)", "a +", "IF(a)", "(a", "5", "a b", "METRICS()"} {
		if got, err := evaluate(wrong, math{tokens: tokens(t, wrong), metrics: map[string]series{"a": {}}}); err == nil {
			t.Errorf("%s is read as %v", wrong, got)
		}
	}
}
