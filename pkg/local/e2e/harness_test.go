//go:build unix

// Package e2e_test tests the whole system: the real command and the real function binaries as
// processes, over sockets, on a data folder that outlives them.
package e2e_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"tollgate/pkg/local"
)

// binaries is the folder of the command and the functions, built once; its subfolder trials has
// functions whose handlers misbehave in known ways.
var binaries string

func trials() []string { return []string{"--functions", filepath.Join(binaries, "trials")} }

// patience bounds every wait for something that must happen. It is long, because the machine
// may be busy with other tests.
const patience = 2 * time.Minute

func TestMain(m *testing.M) {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given {
		flag.Set("test.parallel", "4") // most tests wait for a back-off or a lease
	}
	dir, err := os.MkdirTemp("", "tollgate-e2e-")
	if err == nil {
		binaries = dir
		err = build(dir)
	}
	code := 1
	if err != nil {
		fmt.Fprintln(os.Stderr, "build:", err)
	} else {
		code = m.Run()
	}
	os.RemoveAll(dir)
	os.Exit(code)
}

func build(dir string) error {
	for _, b := range []struct {
		out      string
		packages []string
	}{
		{"/", []string{"tollgate/functions/ingest", "tollgate/functions/consumer", "tollgate/functions/reconcile", "tollgate/functions/sender", "tollgate/functions/history", "tollgate/pkg/cmd/tollgate"}},
		{"/trials/consumer", []string{"tollgate/pkg/local/e2e/trialconsumer"}},
		{"/shop/consumer", []string{"tollgate/pkg/local/e2e/shopconsumer"}},
	} {
		args := append([]string{"build", "-tags", "lambda.norpc", "-trimpath", "-buildvcs=false", "-o", dir + b.out}, b.packages...)
		if text, err := exec.Command("go", args...).CombinedOutput(); err != nil {
			return fmt.Errorf("%v: %s", err, text)
		}
	}
	for _, function := range []string{"ingest", "reconcile"} {
		for _, folder := range []string{"/trials/", "/shop/"} {
			if err := os.Link(dir+"/"+function, dir+folder+function); err != nil {
				return err
			}
		}
	}
	// Some tests run the command as another user.
	return os.Chmod(dir, 0o755)
}

// system is a running tollgate dev.
type system struct {
	t    *testing.T
	data string
	info local.Info
	cmd  *exec.Cmd
	log  *logBuffer
	done chan error // how it ended; taken only to be put back
}

// start runs tollgate dev on free ports with more arguments, waits for its ready line,
// and ends it with the test.
func start(t *testing.T, data string, args ...string) *system {
	t.Helper()
	s := &system{t: t, data: data, cmd: devCommand(data, args...), log: &logBuffer{}, done: make(chan error, 1)}
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a group of its own, as in a terminal
	s.cmd.Stderr = s.log
	out, err := s.cmd.StdoutPipe()
	must(t, err)
	must(t, s.cmd.Start())
	ready := make(chan []byte, 1)
	go func() {
		line, _ := bufio.NewReader(out).ReadBytes('\n')
		ready <- line
		io.Copy(io.Discard, out)
		s.done <- s.cmd.Wait()
	}()
	t.Cleanup(s.end)
	select {
	case line := <-ready:
		if err := json.Unmarshal(line, &s.info); err != nil {
			t.Fatalf("ready line %q: %v\n%s", line, err, s.log.tail(4000))
		}
	case <-time.After(patience):
		t.Fatalf("not ready after %v\n%s", patience, s.log.tail(4000))
	}
	return s
}

// end kills the system at the end of a test and checks the log.
func (s *system) end() {
	s.kill()
	s.logIsClean()
	if s.t.Failed() {
		s.t.Logf("log of tollgate dev, its end:\n%s", s.log.tail(4000))
	}
}

func devCommand(data string, args ...string) *exec.Cmd {
	args = append([]string{"dev", "--json", "--data", data, "--listen", "127.0.0.1:0", "--aws-listen", "127.0.0.1:0"}, args...)
	cmd := exec.Command(filepath.Join(binaries, "tollgate"), args...)
	cmd.Env = []string{"HOME=" + data} // nothing of the caller's names another system
	return cmd
}

// interrupt sends SIGINT to the process group, as Ctrl-C in a terminal does.
func (s *system) interrupt() {
	s.t.Helper()
	if err := syscall.Kill(-s.cmd.Process.Pid, syscall.SIGINT); err != nil {
		s.t.Fatalf("interrupt: %v", err)
	}
	select {
	case err := <-s.done:
		s.done <- err
		if err != nil {
			s.t.Errorf("tollgate dev ended with %v after an interrupt", err)
		}
	case <-time.After(patience):
		s.t.Fatalf("tollgate dev did not end after an interrupt")
	}
}

// kill kills the system's process and waits for it.
func (s *system) kill() {
	s.cmd.Process.Kill()
	s.done <- <-s.done
}

// tollgate runs the command on the system and returns what it wrote and its exit code.
func (s *system) tollgate(args ...string) (out, errOut string, code int) {
	s.t.Helper()
	return run(s.t, exec.Command(filepath.Join(binaries, "tollgate"), append(args, "--data", s.data)...))
}

// run runs a command to its end. By default it gets an almost empty environment.
func run(t *testing.T, cmd *exec.Cmd) (out, errOut string, code int) {
	t.Helper()
	if cmd.Env == nil {
		cmd.Env = []string{"HOME=/"}
	}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()
}

// eventually polls until ok or until patience is over; seen describes the last state.
func eventually(t *testing.T, ok func() (good bool, seen string)) {
	t.Helper()
	limit := time.NewTimer(patience)
	defer limit.Stop()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		good, seen := ok()
		if good {
			return
		}
		select {
		case <-limit.C:
			t.Fatalf("not within %v: %s", patience, seen)
		case <-tick.C:
		}
	}
}

// logBuffer keeps the output of a process.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *logBuffer) tail(n int) string {
	text := l.String()
	return text[max(0, len(text)-n):]
}

// lines returns the lines that contain all of the words.
func (l *logBuffer) lines(words ...string) (found []string) {
	for line := range strings.Lines(l.String()) {
		all := true
		for _, w := range words {
			all = all && strings.Contains(line, w)
		}
		if all {
			found = append(found, strings.TrimSpace(line))
		}
	}
	return found
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// errOf is the error of a call whose answer the test does not read.
func errOf[T any](_ T, err error) error { return err }
