//go:build unix

package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// report is the output of `redrive --json`.
type report struct {
	Selected, Moved, Left int
	Canary, Outcomes      *struct {
		Done     int `json:"done"`
		Retrying int `json:"failed_retrying"`
		Dead     int `json:"failed_dead"`
		UnderWay int `json:"under_way"`
	}
}

// functionFolder is a folder of functions whose consumer can be replaced.
type functionFolder struct {
	t    *testing.T
	path string
}

func newFunctionFolder(t *testing.T) functionFolder {
	t.Helper()
	f := functionFolder{t, filepath.Join(t.TempDir(), "functions")}
	f.must(os.Mkdir(f.path, 0o700))
	trials := filepath.Join(binaries, "trials")
	all, err := os.ReadDir(trials)
	f.must(err)
	for _, one := range all {
		f.must(os.Symlink(filepath.Join(trials, one.Name()), filepath.Join(f.path, one.Name())))
	}
	return f
}

func (f functionFolder) must(err error) {
	f.t.Helper()
	must(f.t, err)
}

// build makes the consumer with a tag, to be deployed later.
func (f functionFolder) build(tag string) {
	f.t.Helper()
	cmd := exec.Command("go", "build", "-tags", "lambda.norpc,"+tag, "-trimpath", "-buildvcs=false", "-o", f.built(tag), "tollgate/pkg/local/e2e/trialconsumer")
	if text, err := cmd.CombinedOutput(); err != nil {
		f.t.Fatalf("build: %v: %s", err, text)
	}
}

func (f functionFolder) built(tag string) string { return filepath.Join(f.path, "consumer."+tag) }

// deploy replaces the consumer by the one that was built with a tag.
func (f functionFolder) deploy(tag string) {
	f.t.Helper()
	f.must(os.Rename(f.built(tag), filepath.Join(f.path, "consumer")))
}

// TestRedriveRepairsDeadLetters breaks two handlers in different ways, fixes one after the
// other and redrives its dead letters; the second redrive is killed and repeated. In the end
// every event is done and its effects are applied once.
func TestRedriveRepairsDeadLetters(t *testing.T) {
	skipSlow(t)
	t.Parallel()
	const each = 400
	types := []string{"works", "takes_time", "unhandled", "ledger", "receipt"}
	data, folder := t.TempDir(), newFunctionFolder(t)
	run := func() *system {
		return start(t, data, "--functions", folder.path, "--time-scale", "10", "--max-receives", "3")
	}
	s := run()
	s.deliverAll(types, each)
	folder.build("fixed") // during the back-off
	folder.build("fixedboth")
	s.deadAtLeast(2 * each)
	groups := s.groupsWith("trial.receipt", each)
	ledger, receipt := groups.group("trial.ledger", each*9/10), groups.group("trial.receipt", each)
	if ledger == nil {
		t.Fatalf("no group of most events of trial.ledger: %v", groups)
	}
	if len(groups) != 2 && len(s.log.lines("outcome=store_down")) == 0 {
		t.Errorf("%d groups of dead letters, want two: nothing else went wrong", len(groups))
	}

	// A fix that does not help: the canary fails, and nothing more is sent.
	out, errOut, code := s.tollgate("redrive", "--error", receipt.fingerprint, "--canary", "5", "--wait", "--json")
	if r := reportOf(t, out); code != 1 || r.Moved != 5 || r.Canary.Dead == 0 || r.Outcomes != nil {
		t.Errorf("canary of a broken handler: exit %d, %+v\n%s", code, r, errOut)
	}
	s.deadAtLeast(2 * each)

	// One fix is deployed; only its group is done.
	s.interrupt()
	folder.deploy("fixed")
	s = run()
	out, errOut, code = s.tollgate("redrive", "--error", ledger.fingerprint, "--canary", "5", "--rate", "200", "--wait", "--json")
	if r := reportOf(t, out); code != 0 || r.Moved < len(ledger.ids) || r.Left != 0 || r.Canary.Done != 5 || r.Outcomes.Done != r.Moved {
		t.Errorf("redrive: exit %d, %+v\n%s", code, r, errOut)
	}
	records := s.items("EVT#")
	for id := range ledger.ids {
		if r := records["EVT#"+id]; r["st"] != "DONE" {
			t.Errorf("redriven: the record of %s is %v", id, r)
		}
	}
	for id := range receipt.ids {
		if r := records["EVT#"+id]; r["st"] != "FAILED" {
			t.Errorf("of the other group: the record of %s is %v", id, r)
		}
	}
	if left := s.groupsWith("trial.receipt", each); left[ledger.fingerprint] != nil || len(left[receipt.fingerprint].ids) != each {
		t.Errorf("the dead letters are not those of the other group: %v", left)
	}

	// The other fix is deployed, and the redrive is killed.
	s.interrupt()
	folder.deploy("fixedboth")
	s = run()
	s.killedRedrive(each)
	eventually(t, func() (bool, string) {
		out, errOut, code := s.tollgate("redrive", "--all", "--rate", "500", "--wait", "--json")
		r := reportOf(t, out)
		left := s.depth(s.info.DLQURL)
		return code == 0 && left == 0, fmt.Sprintf("exit %d, %+v, %d dead letters left: %s", code, r, left, errOut)
	})
	s.drained()
	s.allOnce(types, each)
}

func reportOf(t *testing.T, out string) (r report) {
	t.Helper()
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatalf("the report is %q: %v", out, err)
	}
	return r
}

func trialID(typ string, n int) string { return fmt.Sprintf("%s_trial%06d", typ, n) }

// deadAtLeast waits until the queue is empty and there are that many dead letters: a busy
// machine may duplicate some.
func (s *system) deadAtLeast(n int) {
	s.t.Helper()
	eventually(s.t, func() (bool, string) {
		left, dead := s.depth(s.info.QueueURL), s.depth(s.info.DLQURL)
		return left == 0 && dead >= n, fmt.Sprintf("%d messages in the queue and %d dead letters, want none and %d", left, dead, n)
	})
}

// deadLetterGroup is the events of one group of dead letters.
type deadLetterGroup struct {
	typ, fingerprint string
	ids              map[string]bool
}

// deadLetterGroups are groups by fingerprint, leftovers of done events left out.
type deadLetterGroups map[string]*deadLetterGroup

func (s *system) deadLetterGroups() deadLetterGroups {
	s.t.Helper()
	all := deadLetterGroups{}
	for _, l := range jsonLines[struct {
		EventID     string `json:"event_id"`
		Type        string `json:"type"`
		Fingerprint string `json:"fingerprint"`
		Done        bool   `json:"done"`
	}](s, "dlq", "list", "--events", "--wait-hidden") {
		if l.Done {
			continue
		}
		if all[l.Fingerprint] == nil {
			all[l.Fingerprint] = &deadLetterGroup{l.Type, l.Fingerprint, map[string]bool{}}
		}
		all[l.Fingerprint].ids[l.EventID] = true
	}
	return all
}

// groupsWith waits until a group has n events: dead letters of a receive whose answer was lost
// are hidden for some seconds.
func (s *system) groupsWith(typ string, n int) (all deadLetterGroups) {
	s.t.Helper()
	eventually(s.t, func() (bool, string) {
		all = s.deadLetterGroups()
		return all.group(typ, n) != nil, fmt.Sprintf("no group of %s has %d dead letters: %v", typ, n, all)
	})
	return all
}

// group is the group of a type with at least n events, or nil.
func (g deadLetterGroups) group(typ string, atLeast int) *deadLetterGroup {
	for _, one := range g {
		if one.typ == typ && len(one.ids) >= atLeast {
			return one
		}
	}
	return nil
}

// String lists the number of events of each group.
func (g deadLetterGroup) String() string {
	return fmt.Sprintf("%d of %s (%s)", len(g.ids), g.typ, g.fingerprint)
}

// deliverAll posts events of each type, until each was answered 200.
func (s *system) deliverAll(types []string, each int) {
	s.t.Helper()
	next := make(chan []byte)
	var wg sync.WaitGroup
	for range loadWorkers {
		wg.Go(func() {
			for body := range next {
				for status := 0; status != http.StatusOK; {
					status, _ = s.post(body)
				}
			}
		})
	}
	for n := range each {
		for _, typ := range types {
			next <- trial(trialID(typ, n), typ)
		}
	}
	close(next)
	wg.Wait()
}

// killedRedrive kills a redrive when it has sent some of n dead letters.
func (s *system) killedRedrive(n int) {
	s.t.Helper()
	cmd := exec.Command(filepath.Join(binaries, "tollgate"), "redrive", "--all", "--rate", "40", "--data", s.data)
	cmd.Env = []string{"HOME=/"}
	must(s.t, cmd.Start())
	eventually(s.t, func() (bool, string) {
		left := s.depth(s.info.DLQURL)
		return left < n*4/5, fmt.Sprintf("%d dead letters are left", left)
	})
	cmd.Process.Kill()
	cmd.Wait()
	left := s.depth(s.info.DLQURL)
	s.t.Logf("the redrive was killed with %d of %d dead letters left", left, n)
	if left == 0 {
		s.t.Error("nothing is left: it was killed too late to show anything")
	}
}

// allOnce compares the table with the deliveries.
func (s *system) allOnce(types []string, each int) {
	s.t.Helper()
	records, facts := s.items("EVT#"), s.items("FACT#")
	for _, typ := range types {
		outcome, effects := "applied", 1
		if typ == "unhandled" {
			outcome, effects = "ignored", 0
		}
		for n := range each {
			r := records["EVT#evt_"+trialID(typ, n)]
			if r["st"] != "DONE" || r["outcome"] != outcome {
				s.t.Errorf("the record of %s is %v, want it done as %s", trialID(typ, n), r, outcome)
			}
			if key := fmt.Sprintf("FACT#test#-#in_%s#trial#%s", trialID(typ, n), r["att"]); (facts[key] != nil) != (effects == 1) {
				s.t.Errorf("fact %s: %v, want %d", key, facts[key], effects)
			}
		}
	}
	if want := (len(types) - 1) * each; len(records) != len(types)*each || len(facts) != want {
		s.t.Errorf("%d records and %d facts, want %d and %d", len(records), len(facts), len(types)*each, want)
	}
}
