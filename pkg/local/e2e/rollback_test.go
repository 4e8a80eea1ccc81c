//go:build unix

package e2e_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tollgate/pkg/ledger/ledgertest"
	"tollgate/pkg/local/scenes"
)

// earlier builds the functions of an earlier commit and returns their folder.
func earlier(t *testing.T) string {
	t.Helper()
	from := os.Getenv("TOLLGATE_ROLLBACK_FROM")
	if from == "" {
		t.Skip("builds another release's functions: make rollback-test FROM=COMMIT; what they wrote is read by the tests of testdata/wire")
	}
	source, built := t.TempDir(), t.TempDir()
	top, errOut, code := run(t, exec.Command("git", "rev-parse", "--show-toplevel"))
	if code != 0 {
		t.Fatalf("no git history: %s", errOut)
	}
	archive := exec.Command("git", "-C", strings.TrimSpace(top), "archive", "--output", filepath.Join(source, "source.tar"), from)
	if _, errOut, code := run(t, archive); code != 0 {
		t.Fatalf("%s is not in this clone: %s", from, errOut)
	}
	if _, errOut, code := run(t, exec.Command("tar", "-xf", filepath.Join(source, "source.tar"), "-C", source)); code != 0 {
		t.Fatal(errOut)
	}
	build := exec.Command("go", "build", "-tags", "lambda.norpc", "-trimpath", "-buildvcs=false", "-o", built+"/", "./functions/...")
	build.Dir, build.Env = source, os.Environ()
	if _, errOut, code := run(t, build); code != 0 {
		t.Fatalf("build %s: %s", from, errOut)
	}
	return built
}

// TestRollback: an earlier release goes on with the queue and the table of this one, and this one
// goes on afterwards. Each release is stopped with events in the queue. In the end the ledger
// agrees with the objects of the fake Stripe, and every message was sent once.
func TestRollback(t *testing.T) {
	old, data := earlier(t), t.TempDir()
	var ends []sceneLine
	sent, marked := map[string]int{}, map[string]bool{}
	for i, functions := range []string{binaries, old, binaries, old} {
		s := start(t, data, "--time-scale", "10", "--functions", functions)
		for seed, name := range scenes.Names() {
			ends = append(ends, s.play(name, fmt.Sprint(100*i+seed)))
		}
		if i == 3 {
			s.settles(ends)
			for key, m := range s.items("OUT#") {
				if m["sent_at"] != "" {
					marked[key] = true
				}
			}
		}
		s.interrupt()
		for _, line := range s.log.lines("outbox message", "key=") {
			_, key, _ := strings.Cut(line, "key=")
			sent[strings.Fields(key)[0]]++
		}
		t.Logf("%d: %d done, %d duplicates, %d failed attempts, %d messages sent", i, len(s.log.lines("outcome=applied")), len(s.log.lines("outcome=duplicate")), len(s.log.lines("outcome=failed")), len(sent))
	}
	if len(marked) == 0 {
		t.Error("no message was sent")
	}
	for key := range sent {
		marked[key] = true
	}
	for key := range marked {
		if sent[key] != 1 {
			t.Errorf("%s was sent %d times", key, sent[key])
		}
	}
}

// settles waits until the ledger of every scene's customer agrees with the fake Stripe.
func (s *system) settles(ends []sceneLine) {
	s.t.Helper()
	for _, end := range ends {
		for _, account := range append(end.Accounts, "")[:max(1, len(end.Accounts))] {
			eventually(s.t, func() (bool, string) {
				want, settled, messages := ledgertest.Of(s.kept(account), account, end.Customer).Settle(s.ledger(account, end.Customer))
				diff := cmp.Diff(want, settled) + messages
				return diff == "", end.Scene + " (-truth +ledger):\n" + diff
			})
		}
	}
	s.drained()
	s.inDLQ(0)
	eventually(s.t, func() (bool, string) {
		for key, m := range s.items("OUT#") {
			if m["sent_at"] == "" && m["held"] == "" {
				return false, key + " is not sent"
			}
		}
		return true, ""
	})
}
