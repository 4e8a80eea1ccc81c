package main

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/jsii-runtime-go"
)

// TestMain removes the files that CDK's kernel unpacks when it is linked.
func TestMain(m *testing.M) {
	code := m.Run()
	jsii.Close()
	os.Exit(code)
}

// TestRun writes a template as make synth does, with the context of cdk.json, whose flags
// change nothing: it is the golden one.
func TestRun(t *testing.T) {
	// CDK's kernel runs on node. In CI, where it is installed, the test must run.
	if _, err := exec.LookPath("node"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("node is not installed, so no template can be synthesized")
		}
		t.Skip("node is not installed, so no template can be synthesized")
	}
	t.Chdir("..")
	bundles, out := t.TempDir(), t.TempDir()
	for _, function := range []string{"ingest", "consumer", "reconcile"} {
		if err := os.Mkdir(filepath.Join(bundles, function), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(bundles, function, "bootstrap"), []byte("stands for "+function+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	synth := exec.Command("go", "run", "./infra", "-o", out, "-bundles", bundles, "-stage", "live")
	if text, err := synth.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, text)
	} else if !strings.Contains(string(text), "infra: stage live has alarms without a receiver: set alarm-email or alarm-topic in infra/stages/live.json") {
		t.Errorf("no warning about alarms without a receiver: %s", text)
	}
	got, err := os.ReadFile(filepath.Join(out, "tollgate-live.template.json"))
	if err != nil {
		t.Fatal(err)
	}
	golden, err := os.ReadFile(filepath.Join("infra", "testdata", "tollgate-live.json"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(bytes.TrimSpace(got), bytes.TrimSpace(golden)) {
		t.Error("the template differs from the golden one: run make diff; if that is clean, the context of cdk.json changes it")
	}
}

func TestRunRefuses(t *testing.T) {
	t.Chdir("..")
	for want, args := range map[string][]string{
		`unexpected argument "live"`:                  {"live"},
		"flag provided but not defined":               {"-c", "stage=live"},
		"infra/stages/prod.json does not exist: copy": {"-stage", "prod"},
	} {
		if err := run(args, t.Output()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want …%s…", err, want)
		}
	}
	var help strings.Builder
	if err := run([]string{"-h"}, &help); !errors.Is(err, flag.ErrHelp) || !strings.Contains(help.String(), "silence-hours: hours") {
		t.Errorf("help is %v:\n%s", err, &help)
	}
}

func TestFileContext(t *testing.T) {
	file := filepath.Join(t.TempDir(), "cdk.json")
	for text, values := range map[string]int{`{"context":`: -1, `{"app":"x"}`: 0, `{"context":{"a":true,"b":[1]}}`: 2} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := fileContext(file); (err != nil) != (values < 0) || err == nil && (got == nil || len(got) != values) {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
}
