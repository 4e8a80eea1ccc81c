package check_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"tollgate/pkg/limits"
)

const week = 7 * 24 * 60 // minutes, from Sunday on

// starts are the minutes of a week that match a cron expression.
func starts(expression string) (minutes []int) {
	parts := strings.Fields(strings.TrimSuffix(strings.TrimPrefix(expression, "cron("), ")"))
	for m := range week {
		sunday := parts[4] != "SUN" || m < 24*60
		if sunday && matches(parts[0], m%60) && matches(parts[1], m/60%24) {
			minutes = append(minutes, m)
		}
	}
	return minutes
}

// matches reads "*", "0/15", "1", "0,30" and "0-1,4-23".
func matches(field string, v int) bool {
	for part := range strings.SplitSeq(field, ",") {
		var from, to int
		switch {
		case part == "*":
			return true
		case strings.Contains(part, "/"):
			fmt.Sscanf(part, "%d/%d", &from, &to)
			if v >= from && (v-from)%to == 0 {
				return true
			}
		default:
			if n, _ := fmt.Sscanf(part, "%d-%d", &from, &to); n == 1 {
				to = from
			}
			if v >= from && v <= to {
				return true
			}
		}
	}
	return false
}

// TestPassesKeepApart: only the schedule keeps passes from running at once.
func TestPassesKeepApart(t *testing.T) {
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
	var passes, frequent [week]bool
	for _, r := range template.Resources {
		if r.Type != "AWS::Events::Rule" || r.Properties.Targets[0].Id == "outbox" {
			continue
		}
		for _, m := range starts(r.Properties.ScheduleExpression) {
			if passes[m] {
				t.Errorf("two passes start at minute %d of the week", m)
			}
			passes[m], frequent[m] = true, frequent[m] || r.Properties.Targets[0].Id == "quarter"
		}
	}
	for name, c := range map[string]struct {
		starts [week]bool
		least  time.Duration
		count  int
	}{
		"passes":          {passes, max(l.StopAfter, l.Timeout), week/15 - 6},
		"frequent passes": {frequent, l.Frequent.Every, week/15 - 14},
	} {
		count, last := 0, -1
		for i := range 2 * week { // twice, for the gap over the week's end
			if !c.starts[i%week] {
				continue
			}
			if gap := time.Duration(i-last) * time.Minute; last >= 0 && (gap < c.least || gap > 2*l.Frequent.Every) {
				t.Errorf("%s: minute %d of the week is %v after the one before, want %v to %v", name, i%week, gap, c.least, 2*l.Frequent.Every)
			}
			count, last = count+1, i
		}
		if count != 2*c.count {
			t.Errorf("%d %s a week, want %d", count/2, name, c.count)
		}
	}
}
