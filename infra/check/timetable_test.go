package check_test

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"tollgate/pkg/limits"
)

// startsOf are the minutes of a week, from Sunday on, at which a cron expression of the
// form that the schedule uses starts its task.
func startsOf(t *testing.T, expression string) (starts []int) {
	t.Helper()
	parts := strings.Fields(strings.TrimSuffix(strings.TrimPrefix(expression, "cron("), ")"))
	if len(parts) != 6 {
		t.Fatalf("%q has %d fields", expression, len(parts))
	}
	minutes, hours, sunday := valuesOf(t, parts[0], 60), valuesOf(t, parts[1], 24), parts[4] == "SUN"
	for day := range 7 {
		for _, h := range hours {
			for _, m := range minutes {
				if !sunday || day == 0 {
					starts = append(starts, (day*24+h)*60+m)
				}
			}
		}
	}
	return starts
}

// valuesOf reads "*", "0/15", "1", "0,30" and "0-1,4-23".
func valuesOf(t *testing.T, field string, end int) (values []int) {
	t.Helper()
	number := func(s string) int {
		n, err := strconv.Atoi(s)
		if err != nil || n < 0 || n >= end {
			t.Fatalf("field %q: %v", field, err)
		}
		return n
	}
	first, every, stepped := strings.Cut(field, "/")
	if stepped {
		for n := number(first); n < end; n += number(every) {
			values = append(values, n)
		}
		return values
	}
	for part := range strings.SplitSeq(field, ",") {
		from, to, isRange := strings.Cut(part, "-")
		if !isRange {
			to = from
		}
		for n := number(from); n <= number(to); n++ {
			values = append(values, n)
		}
	}
	return values
}

// TestPassesKeepApart: only the schedule keeps passes apart, since a run of the outbox and a
// pass run at once.
func TestPassesKeepApart(t *testing.T) {
	const week = 7 * 24 * 60
	l := limits.AWS().Reconcile
	var template struct {
		Resources map[string]struct {
			Type       string
			Properties struct {
				ScheduleExpression string
				Targets            []struct{ Id string }
			}
		}
	}
	if err := json.Unmarshal(golden(t, "live"), &template); err != nil {
		t.Fatal(err)
	}
	var passes, frequent []int
	for _, r := range template.Resources {
		if r.Type != "AWS::Events::Rule" || r.Properties.Targets[0].Id == "outbox" {
			continue
		}
		starts := startsOf(t, r.Properties.ScheduleExpression)
		passes = append(passes, starts...)
		if r.Properties.Targets[0].Id == "quarter" {
			frequent = append(frequent, starts...)
		}
	}
	for name, c := range map[string]struct {
		starts      []int
		least, most time.Duration
	}{
		"passes":               {passes, l.StopAfter, 2 * l.Frequent.Every},
		"frequent ones":        {frequent, l.Frequent.Every, 2 * l.Frequent.Every},
		"passes and a timeout": {passes, l.Timeout, 2 * l.Frequent.Every},
	} {
		slices.Sort(c.starts)
		for i, start := range c.starts {
			gap := time.Duration(c.starts[(i+1)%len(c.starts)]-start) * time.Minute
			if gap < 0 {
				gap += week * time.Minute
			}
			if gap < c.least || gap > c.most {
				t.Errorf("%s: one starts %v after that of minute %d of the week; want %v to %v", name, gap, start, c.least, c.most)
			}
		}
	}
	if len(passes) != week/15-6 || len(frequent) != week/15-14 {
		t.Errorf("%d passes and %d frequent ones a week", len(passes), len(frequent))
	}
}
