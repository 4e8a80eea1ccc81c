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

// TestMain removes what CDK's kernel unpacks when it is linked.
func TestMain(m *testing.M) {
	code := m.Run()
	jsii.Close()
	os.Exit(code)
}

// TestRun writes a template as make synth does, with the context of cdk.json: its flags
// change nothing, so it is the golden one.
func TestRun(t *testing.T) {
	if _, err := exec.LookPath("node"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("node is not installed: no template can be made")
		}
		t.Skip("node is not installed: no template can be made")
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
	synth := exec.Command("go", "run", "./infra", "-o", out, "-bundles", bundles, "-c", "stage=live")
	if text, err := synth.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, text)
	} else if !strings.Contains(string(text), "infra: without alarm-email or alarm-topic stage live pages nobody") {
		t.Errorf("nothing is said of a stack that pages nobody: %s", text)
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
		t.Error("with the context of cdk.json the template is not the golden one: make diff says how they differ if the stack has changed")
	}
}

func TestRunRefuses(t *testing.T) {
	tests := []struct {
		name string
		args []string
		want string
	}{
		{"an unknown key", []string{"-c", "alarm-emial=ops@example.com"}, `nothing reads the key "alarm-emial"`},
		{"no value", []string{"-c", "stage"}, "a context value is key=value"},
		{"an argument", []string{"live"}, `"live" is none`},
		{"an unknown flag", []string{"-stage", "live"}, "flag provided but not defined"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := run(tt.args, t.Output())
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want …%s…", err, tt.want)
			}
		})
	}
	var help strings.Builder
	if err := run([]string{"-h"}, &help); !errors.Is(err, flag.ErrHelp) || !strings.Contains(help.String(), "silence-hours: page after") {
		t.Errorf("help is %v:\n%s", err, &help)
	}
}

func TestFileContext(t *testing.T) {
	dir := t.TempDir()
	for name, tt := range map[string]struct {
		text, want string
		values     int
	}{
		"broken": {`{"context":`, "read ", 0},
		"none":   {`{"app":"x"}`, "", 0},
		"two":    {`{"context":{"a":true,"b":[1]}}`, "", 2},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(dir, name)
			if err := os.WriteFile(file, []byte(tt.text), 0o644); err != nil {
				t.Fatal(err)
			}
			got, err := fileContext(file)
			if (err != nil) != (tt.want != "") || len(got) != tt.values {
				t.Errorf("%v, %v", got, err)
			}
		})
	}
	if got, err := fileContext(filepath.Join(dir, "absent")); err != nil || got == nil {
		t.Errorf("no file: %v, %v", got, err)
	}
}
