package alarmtest

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// trial is a course of events and how often an alarm must notify in it.
type trial struct {
	name   string
	pages  int
	within time.Duration // of the first page from the beginning of the trial; 0: whenever
	begins time.Duration // of the evaluation; what was before is history
	ends   time.Duration // default the last value's minute
	feed   func(*timeline)
}

const minute, hour, day = time.Minute, time.Hour, 24 * time.Hour

// TestAlarms: each alarm pages in the trials in which it must, as often as it must, and in no other.
// Every alarm has a trial of both kinds.
func TestAlarms(t *testing.T) {
	all, counted, trials := alarms(t), lines(t), allTrials()
	for _, name := range slices.Sorted(maps.Keys(trials)) {
		if all[name].Type == "" {
			t.Errorf("%s is no alarm", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		kinds := map[bool]bool{}
		for _, tr := range trials[name] {
			kinds[tr.pages > 0] = true
			t.Run(name+"/"+tr.name, func(t *testing.T) {
				if wrong, err := tr.run(all, name, counted); err != nil || wrong != "" {
					t.Error(wrong, err)
				}
			})
		}
		if len(kinds) != 2 {
			t.Errorf("%s has no trial in which it must page, or none in which it must not", name)
		}
	}
}

// run returns what an alarm did wrong in a trial, under the first reading in which it did.
func (tr trial) run(all map[string]alarm, name string, counted map[string][]datum) (wrong string, err error) {
	l := &timeline{lines: counted, values: map[string][][]value{}, folded: map[span]*float64{}}
	tr.feed(l)
	if tr.ends > 0 {
		l.last = int(tr.ends / time.Minute)
	}
	for _, assumed := range allAssumptions() {
		at, err := pages(all, name, l, int(tr.begins/time.Minute)+1, l.last+1, assumed)
		if err != nil {
			return "", err
		}
		late := tr.within > 0 && len(at) > 0 && (!assumed.aligned || all[name].period() < 60) && at[0] > int((tr.begins+tr.within)/time.Minute)
		if len(at) != tr.pages || late {
			return fmt.Sprintf("%d pages at the minutes %v, want %d within %v (%+v)", len(at), at, tr.pages, tr.within, assumed), nil
		}
	}
	return "", nil
}

// mutants are alarms as they might be, and some were: an expression or the treatment of missing data in
// the place of an alarm's own.
func mutants() map[string][]string {
	return map[string][]string{
		"dead-letters":            {"visible", "DIFF(visible)", "DIFF(SUM([visible, hidden]))", "DIFF(FILL(SUM([visible, hidden]), 0))", "SUM([visible, hidden])"},
		"dead-letters-expire":     {"letters", "records"},
		"hold-expires":            {"held", "pause"},
		"dead-letters-stay":       {"visible"},
		"secret-mismatch-default": {"FILL(IF(rejected > 20 AND FILL(enqueued, 0) == 0, 1, 0), 0)", "FILL(IF(SUM([rejected, -0.1 * enqueued]) > 0, 1, 0), 0)", "FILL(IF(missed > 1, 1, 0), 0)"},
		"deliveries-rejected":     {"FILL(IF(refused > 0 AND missed > 1, 1, 0), 0)", "FILL(IF(refused - signature - enqueued > 0 AND missed > 1, 1, 0), 0)"},
		"ingest-errors":           {"errors", "FILL(IF(errors > 10, 1, 0), 0)"},
		"api-throttled":           {"throttled", "FILL(IF(runs >= 27000, 1, 0), 0)"},
		"consumer-failures":       {"SUM([failed, down, hot])", "FILL(IF(failed + down + hot > 2, 1, 0), 0)"},
		"no-time":                 {"IF(notime > 0, 1, 0)", "FILL(IF(notime > done, 1, 0), 0)"},
		"superseded":              {"attempts"},
		"schedule-missed": {"FILL(IF(HOUR(minutes) == 0 AND minutes > 300 AND SUM([nightly, 0 * minutes]) < 1, 1, 0), 0)",
			"FILL(IF(HOUR(minutes) == 0 AND minutes > 300 AND SUM([weekly, 0 * minutes]) < 1, 1, 0), 0)"},
		"slo-done":             {"FILL(IF(100 - within > 14.4, 1, 0), 0)"},
		"reconcile-incomplete": {"notBreaching"}, "outbox-late": {"notBreaching"}, "ledger-unverified": {"notBreaching"}, "silence": {"notBreaching"},
		"policy-ignored": {"breaching"}, "queue-age": {"breaching"},
	}
}

// TestMutants: the trials find each of them.
func TestMutants(t *testing.T) {
	counted := lines(t)
	for name, list := range mutants() {
		for _, mutant := range list {
			all := alarms(t)
			a := all[name]
			if strings.HasSuffix(mutant, "reaching") {
				a.Properties.TreatMissingData = mutant
			} else {
				queries := slices.Clone(a.Properties.Metrics)
				a.tokens = tokens(t, mutant)
				for i := range queries {
					if queries[i].MetricStat == nil {
						queries[i].Expression = mutant
					}
				}
				a.Properties.Metrics = queries
			}
			all[name] = a
			found := slices.ContainsFunc(allTrials()[name], func(tr trial) bool {
				wrong, err := tr.run(all, name, counted)
				check(t, err)
				return wrong != ""
			})
			if !found {
				t.Errorf("no trial of %s finds %s", name, mutant)
			}
		}
	}
}

// TestFirstDeploySendsNoMail: the filter of the mail subscription lets alarms and recoveries through,
// but not the first state of the alarms, most of which is OK.
func TestFirstDeploySendsNoMail(t *testing.T) {
	raw, err := os.ReadFile("../testdata/tollgate-" + stageName + ".json")
	check(t, err)
	var template struct {
		Resources struct {
			AlarmEmail struct {
				Properties struct {
					FilterPolicyScope string
					FilterPolicy      struct {
						Or []map[string][]string `json:"$or"`
					}
				}
			}
		}
	}
	check(t, json.Unmarshal(raw, &template))
	p := template.Resources.AlarmEmail.Properties
	passes := func(was, is string) bool {
		message := map[string]string{"OldStateValue": was, "NewStateValue": is}
		return slices.ContainsFunc(p.FilterPolicy.Or, func(all map[string][]string) bool {
			for member, values := range all {
				if !slices.Contains(values, message[member]) {
					return false
				}
			}
			return true
		})
	}
	for change, want := range map[[2]string]bool{
		{"INSUFFICIENT_DATA", "OK"}: false, {"INSUFFICIENT_DATA", "ALARM"}: true, {"OK", "ALARM"}: true, {"ALARM", "OK"}: true,
	} {
		if got := passes(change[0], change[1]); got != want || p.FilterPolicyScope != "MessageBody" {
			t.Errorf("from %s to %s a mail is sent: %v, want %v", change[0], change[1], got, want)
		}
	}
}

// TestSilentMetrics: without any value at all only heartbeats page.
func TestSilentMetrics(t *testing.T) {
	var paging []string
	all := alarms(t)
	for name := range all {
		l := &timeline{values: map[string][][]value{}, folded: map[span]*float64{}}
		at, err := pages(all, name, l, 0, 1, assumptions{})
		if err != nil {
			t.Fatal(err)
		}
		if len(at) > 0 {
			paging = append(paging, name)
		}
	}
	slices.Sort(paging)
	if want := []string{"ledger-unverified", "outbox-late", "reconcile-incomplete", "silence"}; !slices.Equal(paging, want) {
		t.Errorf("%v page without data, want %v", paging, want)
	}
}

// allTrials are those of every alarm by its name.
func allTrials() map[string][]trial {
	all := map[string][]trial{}
	for _, some := range []map[string][]trial{deliveryTrials(), rejectionTrials(), objectiveTrials(), queueTrials(), consumerTrials(), reconcileTrials(), senderTrials()} {
		maps.Copy(all, some)
	}
	return all
}
