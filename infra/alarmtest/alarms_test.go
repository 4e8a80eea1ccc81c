package alarmtest

import (
	"encoding/json"
	"maps"
	"os"
	"slices"
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
				l := &timeline{lines: counted, values: map[string][][]value{}, folded: map[span]*float64{}}
				tr.feed(l)
				if tr.ends > 0 {
					l.last = int(tr.ends / time.Minute)
				}
				for _, assumed := range allAssumptions() {
					at, err := pages(all, name, l, int(tr.begins/time.Minute)+1, l.last+1, assumed)
					if err != nil {
						t.Fatal(err)
					}
					late := tr.within > 0 && len(at) > 0 && (!assumed.aligned || all[name].period() < 60) && at[0] > int((tr.begins+tr.within)/time.Minute)
					if len(at) != tr.pages || late {
						t.Fatalf("%d pages at the minutes %v, want %d within %v (%v)", len(at), at, tr.pages, tr.within, assumed)
					}
				}
			})
		}
		if len(kinds) != 2 {
			t.Errorf("%s has no trial in which it must page, or none in which it must not", name)
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
