package verb

import (
	"bytes"
	"context"
	"errors"
	"os/exec"
	"strings"
	"testing"
	"time"
)

type parsedVerb struct {
	IDs   []string      `arg:"" optional:"" name:"event"`
	Rate  int           `default:"20"`
	Wait  time.Duration `default:"10m"`
	Word  string        `enum:",one,two" default:""`
	Note  string        `required:""`
	Plain bool
}

func TestParse(t *testing.T) {
	var got parsedVerb
	if err := Parse(&got, []string{"--note=-v --yes", "--plain", "--", "evt_1", "--help"}); err != nil {
		t.Fatal(err)
	}
	if got.Note != "-v --yes" || got.Rate != 20 || got.Wait != 10*time.Minute || !got.Plain || strings.Join(got.IDs, " ") != "evt_1 --help" {
		t.Errorf("%+v", got)
	}
	for _, args := range [][]string{{}, {"--note=a", "--rate=x"}, {"--note=a", "--word=three"}, {"--note=a", "--other"}, {"--help"}} {
		if err := Parse(&parsedVerb{}, args); !IsUsage(err) {
			t.Errorf("%v: %v", args, err)
		}
	}
}

// TestCommandLine is read back by a real shell as the same words.
func TestCommandLine(t *testing.T) {
	args := []string{"--note=it's \"$HOME\" `id` \\ done", "--type=invoice.*", "--", "evt_1", "a b", "-x"}
	a := &App{Stack: "tollgate-live", Data: DefaultData}
	line := a.CommandLine("redrive", args...)
	if !strings.HasPrefix(line, "tollgate redrive --stack=tollgate-live --note='it'") {
		t.Error(line)
	}
	out, err := exec.Command("sh", "-c", strings.Replace(line, "tollgate redrive", `printf '%s\n'`, 1)).Output()
	if want := "--stack=tollgate-live\n" + strings.Join(args, "\n") + "\n"; err != nil || string(out) != want {
		t.Errorf("the shell reads %q, %v; want %q", out, err, want)
	}
	if got := (&App{Data: "x"}).CommandLine("dlq list"); got != "tollgate dlq list --data=x" {
		t.Error(got)
	}
}

// TestJobAsks: a job asks its page, for a local system too; what is not confirmed does not begin.
func TestJobAsks(t *testing.T) {
	var out, errOut bytes.Buffer
	no := errors.New("not confirmed")
	for _, answer := range []error{nil, no} {
		asked := ""
		j := (&App{}).ForJob(Job{Out: &out, Err: &errOut, Ask: func(_ context.Context, what string, plan any) error {
			asked = what
			if plan != 7 {
				t.Errorf("plan %v", plan)
			}
			return answer
		}})
		err := j.Confirm(t.Context(), Target{Name: "here", Local: true}, Audit{Detail: "delete it", Plan: 7}, false)
		if !errors.Is(err, answer) || asked != "here: delete it" {
			t.Errorf("asked %q, %v", asked, err)
		}
		if j.ProgressEvery() != time.Second || !j.JSON {
			t.Error("a job prints JSON, and progress each second")
		}
	}
}
