package failpoint_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tollgate/pkg/failpoint"
)

// TestReleasesHaveNoFailpoints: release bundles do not import this package; builds for crash
// tests do.
func TestReleasesHaveNoFailpoints(t *testing.T) {
	for _, tt := range []struct {
		name, tags string
		want       bool
	}{
		{"release", "lambda.norpc", false},
		{"crash tests", "lambda.norpc,failpoints", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, function := range []string{"ingest", "consumer", "reconcile", "sender"} {
				cmd := exec.Command("go", "list", "-deps", "-tags", tt.tags, "tollgate/functions/"+function)
				cmd.Env = append(cmd.Environ(), "GOOS=linux", "GOARCH=arm64", "CGO_ENABLED=0")
				out, err := cmd.CombinedOutput()
				if err != nil {
					t.Fatalf("%v: %s", err, out)
				}
				if got := slices.Contains(strings.Fields(string(out)), "tollgate/pkg/failpoint"); got != tt.want {
					t.Errorf("%s imports pkg/failpoint: %v, want %v", function, got, tt.want)
				}
			}
		})
	}
}

// arm writes an arm file next to this test's binary.
func arm(t *testing.T, point, action string) (armFile string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(filepath.Dir(self), failpoint.Folder)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	armFile = filepath.Join(folder, point+"."+action)
	if err := os.WriteFile(armFile, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return armFile
}
