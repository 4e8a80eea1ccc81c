package stack_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/google/go-cmp/cmp"

	"tollgate/infra/stack"
)

// versions returns the logical ids of the published versions in a template.
func versions(t *testing.T, raw []byte) map[string]string {
	t.Helper()
	ids := map[string]string{}
	for id := range parse(t, raw).Resources {
		if m := regexp.MustCompile(`^(Ingest|Consumer)Version[0-9a-f]{10}$`).FindStringSubmatch(id); m != nil {
			ids[m[1]] = id
		}
	}
	if len(ids) != 2 {
		t.Fatalf("versions %v, want one of ingest and one of the consumer", ids)
	}
	return ids
}

// TestVersionsFollow: a deploy publishes a version of a function if its code or configuration
// changes. Without a change Lambda would publish none, and the deploy would fail.
func TestVersionsFollow(t *testing.T) {
	code := func(function string) func(dir string) error {
		return func(dir string) error {
			return os.WriteFile(filepath.Join(dir, function, "bootstrap"), []byte("fixed\n"), 0o755)
		}
	}
	base := synth(t, options(t, "test", nil))
	for name, tt := range map[string]struct {
		change  object
		version string
		code    func(dir string) error
		moved   string // the functions with a new version
	}{
		"nothing":           {moved: ""},
		"code of ingest":    {code: code("ingest"), moved: "Ingest"},
		"code of consumer":  {code: code("consumer"), moved: "Consumer"},
		"code of reconcile": {code: code("reconcile"), moved: ""},
		"a variable":        {change: object{"begin": "2026-11-21T12:00:00Z"}, moved: "Consumer"},
		"a release":         {version: "v2", moved: "Consumer Ingest"},
		"reservations":      {change: object{"reserved": false}, moved: "Consumer"}, // its TOLLGATE_CONCURRENCY
		"log retention":     {change: object{"log-days": 7}, moved: ""},
		"the log level":     {change: object{"log-level": "debug"}, moved: "Consumer Ingest"},
		"tracing":           {change: object{"tracing": true}, moved: "Consumer Ingest"},
		"a key":             {change: object{"key": "arn:aws:kms:eu-central-1:123456789012:key/0a1b2c3d-0000-4000-8000-000000000000"}, moved: ""},
		"operators":         {change: object{"operators": []any{"arn:aws:iam::123456789012:role/ops"}}, moved: ""},
		"how it is done":    {change: object{"rollout": "canary"}, moved: ""},
		"the boundary":      {change: object{"permissions-boundary": "arn:aws:iam::123456789012:policy/boundary"}, moved: ""},
	} {
		t.Run(name, func(t *testing.T) {
			o, dir := options(t, "test", tt.change), bundles(t)
			if tt.version != "" {
				o.Version = tt.version
			}
			if tt.code != nil {
				if err := tt.code(dir); err != nil {
					t.Fatal(err)
				}
			}
			raw := synthFrom(t, o, dir)
			var moved []string
			for _, function := range []string{"Consumer", "Ingest"} {
				before, after := properties(t, base, function), properties(t, raw, function)
				if versions(t, base)[function] != versions(t, raw)[function] {
					moved = append(moved, function)
				} else if diff := cmp.Diff(before, after); diff != "" {
					t.Errorf("%s has no new version, and other properties:\n%s", function, diff)
				}
			}
			if got := strings.Join(moved, " "); got != tt.moved {
				t.Errorf("new versions of %q, want %q", got, tt.moved)
			}
		})
	}
}

// properties returns what a version keeps of a function's properties.
func properties(t *testing.T, raw []byte, function string) object {
	t.Helper()
	all := parse(t, raw).Resources[function].Properties.(object)
	delete(all, "Tags")
	delete(all, "ReservedConcurrentExecutions")
	return all
}

// TestProduction: a stage named like production takes live events only, and its stack cannot be
// deleted by one command. The CDK command reads the protection from the assembly's manifest, not
// from the template.
func TestProduction(t *testing.T) {
	for stageName, want := range map[string]bool{"live": true, "prod": true, "production": true, "test": false, "prod-2": false, "preprod": false} {
		o := options(t, stageName, object{"endpoints": object{}})
		live := len(o.Endpoints["default"].Livemode) == 1 && o.Endpoints["default"].Livemode[0]
		s, err := stack.New(awscdk.NewApp(nil), o, bundles(t))
		if err != nil {
			t.Fatal(err)
		}
		if protected := s.TerminationProtection() != nil && *s.TerminationProtection(); protected != want || live != want {
			t.Errorf("%s: termination protection is %v, live events only %v, want %v", stageName, protected, live, want)
		}
	}
}
