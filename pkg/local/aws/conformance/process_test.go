package conformance

import (
	"bytes"
	"net"
	"net/http"
	"os/exec"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"
)

// startWithin bounds how long an oracle may take until it answers.
const startWithin = 60 * time.Second

// startOracle runs a command that serves on the port it is given, waits until it
// answers HTTP, and ends it with the test. It returns the base URL.
func startOracle(t testing.TB, dir string, command func(port string) []string) string {
	t.Helper()
	port := freePort(t)
	args := command(port)
	out := &tail{}
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, out, out
	dieWithParent(cmd)
	exited := startProcess(t, cmd)
	t.Cleanup(func() {
		select {
		case <-exited:
			t.Logf("the oracle exited:\n%s", out)
		default:
		}
		cmd.Process.Kill()
		<-exited
	})
	url := "http://127.0.0.1:" + port
	awaitHTTP(t, url, exited, out)
	return url
}

// startProcess starts the command from a thread that lives as long as the child:
// the kernel ends a child with the thread that started it, see dieWithParent.
func startProcess(t testing.TB, cmd *exec.Cmd) <-chan struct{} {
	t.Helper()
	started, exited := make(chan error, 1), make(chan struct{})
	go func() {
		runtime.LockOSThread()
		defer close(exited)
		err := cmd.Start()
		started <- err
		if err == nil {
			cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		t.Fatalf("start %s: %v", cmd.Path, err)
	}
	return exited
}

func awaitHTTP(t testing.TB, url string, exited <-chan struct{}, out *tail) {
	t.Helper()
	client := &http.Client{Timeout: 2 * time.Second}
	defer client.CloseIdleConnections()
	deadline := time.NewTimer(startWithin)
	defer deadline.Stop()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		if r, err := client.Get(url); err == nil {
			r.Body.Close()
			return
		}
		select {
		case <-exited:
			t.Fatalf("oracle ended before it answered:\n%s", out)
		case <-deadline.C:
			t.Fatalf("oracle did not answer within %v:\n%s", startWithin, out)
		case <-tick.C:
		}
	}
}

// freePort finds a port that no one listens on just now.
func freePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("find a free port: %v", err)
	}
	defer l.Close()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
}

// tail keeps the last few kilobytes of what an oracle printed.
type tail struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf.Write(b)
	if extra := t.buf.Len() - 8<<10; extra > 0 {
		t.buf.Next(extra)
	}
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.buf.String()
}
