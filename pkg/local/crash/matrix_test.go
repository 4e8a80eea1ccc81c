//go:build unix

package crash

import (
	"flag"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"

	"tollgate/pkg/failpoint"
)

var (
	all     = flag.Bool("all", false, "run every point: minutes")
	repeats = flag.Int("repeats", 0, "crashes or pauses at each point; default 20 with -all, else 3")
	only    = flag.String("point", "", "run only the points whose name contains this, as with -all")
)

// TestMatrix kills or pauses processes at each point: every event answered 200 must be done once, in
// time.
func TestMatrix(t *testing.T) {
	points := slices.Concat(killPoints(), pausePoints())
	times := 20
	if !*all && *only == "" {
		points = slices.DeleteFunc(points, func(p point) bool { return !p.small })
		times = 3
	}
	points = slices.DeleteFunc(points, func(p point) bool { return !strings.Contains(p.name, *only) })
	if *repeats > 0 {
		times = *repeats
	}
	m := matrix{began: time.Now()}
	t.Run("points", func(t *testing.T) {
		for _, p := range points {
			t.Run(p.action+"/"+p.name, func(t *testing.T) {
				t.Parallel()
				r, err := round(t, binaries, p, times)
				if err != nil {
					t.Fatal(err)
				}
				for _, fault := range r.faults {
					t.Error(fault)
				}
				m.add(r)
			})
		}
	})
	t.Logf("the matrix:\n%s", m.String())
	if m.pauses() >= 50 && m.superseded() == 0 {
		t.Error("no attempt was superseded: the pauses were too short to show anything")
	}
}

// matrix collects the rows of concurrent rounds.
type matrix struct {
	mu    sync.Mutex
	rows  []row
	began time.Time
}

func (m *matrix) add(r row) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.rows = append(m.rows, r)
}

func (m *matrix) pauses() (n int) {
	for _, r := range m.rows {
		if r.action == failpoint.Stop {
			n += r.fired
		}
	}
	return n
}

func (m *matrix) superseded() (n int) {
	for _, r := range m.rows {
		if r.action == failpoint.Stop {
			n += r.superseded
		}
	}
	return n
}

func (m *matrix) String() string {
	slices.SortFunc(m.rows, func(a, b row) int { return strings.Compare(a.action+a.name, b.action+b.name) })
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "action\tpoint\ttimes\tevents\trefused\tretried\tsuperseded\tfaults\trecovered in\ttook")
	kills, events, faults := 0, 0, 0
	for _, r := range m.rows {
		fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%d\t%d\t%d\t%d\t%.1f s\t%.0f s\n",
			r.action, r.name, r.fired, r.events, r.refused, r.retried, r.superseded, len(r.faults), r.recovered.Seconds(), r.took.Seconds())
		events, faults = events+r.events, faults+len(r.faults)
		if r.action == failpoint.Kill {
			kills += r.fired
		}
	}
	w.Flush()
	fmt.Fprintf(&text, "figure: make crash | %d points: %d kills, %d pauses, %d events, %d superseded attempts after a pause, %d faults, in %.0f s on %d CPUs\n",
		len(m.rows), kills, m.pauses(), events, m.superseded(), faults, time.Since(m.began).Seconds(), runtime.NumCPU())
	return text.String()
}
