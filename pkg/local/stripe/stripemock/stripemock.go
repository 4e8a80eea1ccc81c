// Package stripemock gives tests Stripe's own mock server, github.com/stripe/stripe-mock,
// in one fixed version. The mock validates parameters by Stripe's API specification; it has
// no state. The go command fetches it, so that go.mod does not require it and its
// dependencies. Where it cannot be fetched the test is skipped, or fails if the variable
// TOLLGATE_ORACLES is "required".
package stripemock

import (
	"bufio"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Module is the version whose specification is the API version of stripe-go v76.
const Module = "github.com/stripe/stripe-mock@v0.183.0"

// Start runs the mock until the test ends and returns its URL. A strict mock rejects
// requests for other API versions than its own.
func Start(t testing.TB, strict bool) (url string) {
	t.Helper()
	dir := t.TempDir()
	install := exec.Command("go", "install", Module)
	install.Env = append(install.Environ(), "GOBIN="+dir)
	if out, err := install.CombinedOutput(); err != nil {
		absent(t, err, out)
	}
	args := []string{"-http-addr", "127.0.0.1:0"}
	if strict {
		args = append(args, "-strict-version-check")
	}
	cmd := exec.Command(filepath.Join(dir, "stripe-mock"), args...)
	stdout, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		if _, address, ok := strings.Cut(lines.Text(), "HTTP at address: "); ok {
			go func() {
				for lines.Scan() { // or the mock would block on a full pipe
				}
			}()
			return "http://" + address
		}
	}
	t.Fatal("stripe-mock ended without listening")
	return ""
}

// File returns one of the files that the mock is built from: "spec3.json", Stripe's API
// specification, or "fixtures3.json", one object of each kind.
func File(t testing.TB, name string) []byte {
	t.Helper()
	download := exec.Command("go", "mod", "download", "-json", Module)
	download.Dir = t.TempDir() // outside of this module, whose go.sum must not change
	out, err := download.CombinedOutput()
	if err != nil {
		absent(t, err, out)
	}
	var module struct{ Dir string }
	if err := json.Unmarshal(out, &module); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(filepath.Join(module.Dir, "embedded", "openapi", name))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func absent(t testing.TB, err error, out []byte) {
	t.Helper()
	if os.Getenv("TOLLGATE_ORACLES") == "required" {
		t.Fatalf("fetch %s: %v: %s", Module, err, out)
	}
	t.Skipf("%s cannot be fetched: %v", Module, err)
}
