package verb

import (
	"bytes"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestTablesAreSafe: a sender may choose what is in a cell.
func TestTablesAreSafe(t *testing.T) {
	const unsafe = "x\x1b[31m\x1b]0;t\a\u009b2J\u202e\u2028\r\n\ty"
	var out bytes.Buffer
	a := &App{Streams: Streams{Out: &out}}
	a.Table([]string{"a", "b"}, [][]string{{unsafe, "1"}, {"2", unsafe}})
	a.Fields([][2]string{{"name", unsafe}})
	if got := out.String(); strings.ContainsAny(got, "\x1b\a\u009b\u202e\u2028\r\t") || strings.Count(got, "\n") != 4 {
		t.Errorf("printed %q", got)
	}
}

// TestTableFits cuts the last column to the width, and only that one.
func TestTableFits(t *testing.T) {
	rows := [][]string{{"EVENT", "ERROR"}, {"evt_1é", strings.Repeat("x", 60)}, {"evt_22", ""}}
	for width, want := range map[int]string{
		0:  "EVENT   ERROR\nevt_1é  " + strings.Repeat("x", 60) + "\nevt_22\n",
		40: "EVENT   ERROR\nevt_1é  " + strings.Repeat("x", 31) + "…\nevt_22\n",
		10: "EVENT   ERROR\nevt_1é  " + strings.Repeat("x", 19) + "…\nevt_22\n",
	} {
		var out bytes.Buffer
		a := &App{Streams: Streams{Out: &out}}
		a.columns(rows, width)
		if d := cmp.Diff(want, out.String()); d != "" {
			t.Errorf("width %d (-want +got):\n%s", width, d)
		}
	}
}

// TestProgress: without a terminal a line each 30 seconds, on stderr, and none of a short run.
func TestProgress(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		make func(*App) *Progress
		step time.Duration
		want string
	}{
		{"short", func(a *App) *Progress { return a.Progress("sent", 400) }, 7 * time.Second, ""},
		{"long", func(a *App) *Progress { return a.Progress("sent", 400) }, 21 * time.Second,
			"sent 200 of 400 (50 %), 5 a second\nsent 400 of 400 (100 %), 5 a second\n"},
		{"of unknown length", func(a *App) *Progress { return a.Counter("read", "dead letters") }, 45 * time.Second,
			"read 100 dead letters, 2 a second\nread 200 dead letters, 2 a second\nread 300 dead letters, 2 a second\nread 400 dead letters, 2 a second\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var out, errOut bytes.Buffer
				p := tt.make(&App{Streams: Streams{Out: &out, Err: &errOut}})
				for range 4 {
					<-time.After(tt.step)
					p.Add(100)
				}
				p.Done()
				if diff := cmp.Diff(tt.want, errOut.String()); diff != "" || out.Len() != 0 {
					t.Errorf("%s, stdout %q", diff, out.String())
				}
			})
		})
	}
}
