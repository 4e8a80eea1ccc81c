package lambdahost

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

func TestHostKilled(t *testing.T) {
	host := exec.Command(testBinary(t))
	host.Env = []string{"LAMBDAHOST_TEST_HOST=1"}
	out, err := host.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := host.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("read the function's line: %v", err)
	}
	var pid int
	if _, err := fmt.Sscanf(line, "hanging %d", &pid); err != nil {
		t.Fatalf("line %q: %v", line, err)
	}
	if !alive(pid) {
		t.Fatal("the function is gone before its host")
	}
	host.Process.Signal(syscall.SIGKILL)
	host.Wait()
	eventually(t, "the function ends with its killed host", func() bool { return !alive(pid) })
}

// alive is false for a process that is gone or waits to be reaped by a stranger.
func alive(pid int) bool {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	return err == nil && !strings.Contains(string(status), "State:\tZ")
}
