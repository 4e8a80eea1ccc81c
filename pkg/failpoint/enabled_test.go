//go:build failpoints && unix

package failpoint_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tollgate/pkg/failpoint"
)

// TestMain makes this binary a program that reaches a point twice.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "reach" {
		for range 2 {
			failpoint.At(os.Args[2])
			fmt.Println("passed")
		}
		return
	}
	os.Exit(m.Run())
}

// reach runs this binary as that program.
func reach(t *testing.T, point string) (*exec.Cmd, *bufio.Reader) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, "reach", point)
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	return cmd, bufio.NewReader(out)
}

func takenBy(t *testing.T, armFile string, pid int) {
	t.Helper()
	found, _ := filepath.Glob(armFile + "*")
	if diff := cmp.Diff([]string{fmt.Sprintf("%s.%d", armFile, pid)}, found); diff != "" {
		t.Errorf("arm files (-want +got):\n%s", diff)
	}
	for _, f := range found {
		os.Remove(f)
	}
}

func TestKillAtThePoint(t *testing.T) {
	armFile := arm(t, "die", failpoint.Kill)
	cmd, out := reach(t, "die")
	text, _ := io.ReadAll(out)
	cmd.Wait()
	if s := cmd.ProcessState.Sys().(syscall.WaitStatus); !s.Signaled() || s.Signal() != syscall.SIGKILL || len(text) > 0 {
		t.Errorf("it ended with %v after %q, want killed without output", cmd.ProcessState, text)
	}
	takenBy(t, armFile, cmd.Process.Pid)
}

func TestAStoppedProcessContinues(t *testing.T) {
	armFile := arm(t, "rest", failpoint.Stop)
	cmd, out := reach(t, "rest")
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(cmd.Process.Pid, &status, syscall.WUNTRACED, nil); err != nil || !status.Stopped() {
		t.Fatalf("wait: %v, status %v, want a stopped process", err, status)
	}
	if err := cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	text, _ := io.ReadAll(out)
	if err := cmd.Wait(); err != nil || string(text) != "passed\npassed\n" {
		t.Errorf("ended with %v, output %q", err, text)
	}
	takenBy(t, armFile, cmd.Process.Pid)
}

func TestUnarmedPointsDoNothing(t *testing.T) {
	armFile := arm(t, "elsewhere", failpoint.Kill)
	cmd, out := reach(t, "else")
	text, _ := io.ReadAll(out)
	if err := cmd.Wait(); err != nil || string(text) != "passed\npassed\n" {
		t.Errorf("ended with %v, output %q", err, text)
	}
	if err := os.Remove(armFile); err != nil {
		t.Errorf("the other point's arm file: %v", err)
	}
}

func TestCallsAreNamed(t *testing.T) {
	echo := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) }))
	defer echo.Close()
	update := func(set string) string {
		return `{"UpdateExpression":"SET ` + set + `, upd=:now","ConditionExpression":"st=:running"}`
	}
	for _, tt := range []struct{ target, path, body, want string }{
		{"AmazonSQS.SendMessage", "/", `{}`, "SendMessage"},
		{"secretsmanager.GetSecretValue", "/", `{}`, "GetSecretValue"},
		{"DynamoDB_20120810.UpdateItem", "/", update("st=:running, own=:own"), "claim"},
		{"DynamoDB_20120810.UpdateItem", "/", update("st=:done"), "complete"},
		{"DynamoDB_20120810.UpdateItem", "/", update("st=:failed"), "fail"},
		{"DynamoDB_20120810.UpdateItem", "/", update("st=:begin, own=:own"), "begin"},
		{"DynamoDB_20120810.UpdateItem", "/", update("st=:end, hist=:hist"), "end"},
		{"DynamoDB_20120810.UpdateItem", "/", update("sent_at=:now"), "mark"},
		{"DynamoDB_20120810.UpdateItem", "/", update("lease=:zero"), "UpdateItem"},
		{"DynamoDB_20120810.UpdateItem", "/", `not JSON`, "UpdateItem"},
		{"DynamoDB_20120810.TransactWriteItems", "/", `{}`, "complete_with_effects"},
		{"DynamoDB_20120810.TransactWriteItems", "/", `{"TransactItems":[{"Update":{}},{"Put":{}}]}`, "complete_with_effects"},
		{"DynamoDB_20120810.TransactWriteItems", "/", `{"TransactItems":[{"Put":{}},{"Put":{}}]}`, "done_at_once_with_effects"},
		{"DynamoDB_20120810.PutItem", "/", `{"Item":{"st":{"S":"DONE"}}}`, "done_at_once"},
		{"DynamoDB_20120810.PutItem", "/", `{"Item":{"st":{"S":"FAILED"}}}`, "failed_at_once"},
		{"DynamoDB_20120810.PutItem", "/", `{"Item":{"pk":{"S":"BEGIN#"}}}`, "PutItem"},
		{"", "/hooks/crm", `{}`, "send"},
		{"", "/2018-06-01/runtime/invocation/next", "", "next"},
		{"", "/2018-06-01/runtime/invocation/1/response", "x", "response"},
	} {
		t.Run(tt.want, func(t *testing.T) {
			r, err := http.NewRequest(http.MethodPost, echo.URL+tt.path, strings.NewReader(tt.body))
			if err != nil {
				t.Fatal(err)
			}
			if tt.want == "send" {
				r.Header.Set("Webhook-Id", "msg_1")
			}
			if tt.target != "" {
				r.Header.Set("X-Amz-Target", tt.target)
			}
			var at []string
			transport := failpoint.TransportAt("caller", http.DefaultTransport, func(point string) { at = append(at, point) })
			res, err := transport.RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			if body, _ := io.ReadAll(res.Body); string(body) != tt.body {
				t.Errorf("the body came through as %q, want %q", body, tt.body)
			}
			if diff := cmp.Diff([]string{"caller." + tt.want + ".before", "caller." + tt.want + ".after"}, at); diff != "" {
				t.Errorf("points (-want +got):\n%s", diff)
			}
		})
	}
}
