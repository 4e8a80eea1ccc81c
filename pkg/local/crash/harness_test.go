//go:build unix

package crash

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"tollgate/pkg/failpoint"
	"tollgate/pkg/local"
)

// binaries is the folder of the command and the functions, built with failpoints.
var binaries string

// patience bounds waits whose length depends on the machine only.
const patience = time.Minute

func TestMain(m *testing.M) {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given {
		// Rounds mostly wait for leases and visibility timeouts, short ones almost entirely.
		flag.Set("test.parallel", map[bool]string{false: "5", true: "3"}[*all])
	}
	dir, err := os.MkdirTemp("", "tollgate-crash-")
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

// build builds the command and the functions with failpoints, and a consumer whose handlers show an
// effect that was applied twice. more are arguments of go build.
func build(dir string, more ...string) error {
	for _, b := range []struct {
		out      string
		packages []string
	}{
		{"/", []string{"tollgate/functions/ingest", "tollgate/functions/reconcile", "tollgate/functions/sender", "tollgate/pkg/cmd/tollgate"}},
		{"/consumer", []string{"tollgate/pkg/local/e2e/trialconsumer"}},
	} {
		args := append([]string{"build", "-tags", "lambda.norpc,failpoints", "-trimpath", "-buildvcs=false", "-o", dir + b.out}, more...)
		if text, err := exec.Command("go", append(args, b.packages...)...).CombinedOutput(); err != nil {
			return fmt.Errorf("%v: %s", err, text)
		}
	}
	return nil
}

// system is a tollgate dev that is restarted after each kill. Its methods return errors, so that
// TestMutants can read them.
type system struct {
	folder string // with its binaries and its arm files
	data   string
	point  point
	log    *os.File
	got    *receiver // nil without destinations

	args   []string
	life   atomic.Pointer[life] // read by the load during a restart
	starts int
}

// life is one process of a system.
type life struct {
	cmd  *exec.Cmd
	info local.Info
	gone chan struct{} // closed when it has ended
}

// newSystem starts a system with hard links to the binaries in from.
func newSystem(t *testing.T, from string, p point) (*system, error) {
	t.Helper()
	dir := t.TempDir()
	s := &system{point: p, folder: filepath.Join(dir, "bin"), data: filepath.Join(dir, "data")}
	if err := os.MkdirAll(filepath.Join(s.folder, failpoint.Folder), 0o700); err != nil {
		return nil, err
	}
	for _, name := range []string{"tollgate", "ingest", "consumer", "reconcile", "sender"} {
		if err := os.Link(filepath.Join(from, name), filepath.Join(s.folder, name)); err != nil {
			return nil, err
		}
	}
	var err error
	if s.log, err = os.Create(filepath.Join(dir, "log")); err != nil {
		return nil, err
	}
	t.Cleanup(func() {
		if l := s.life.Load(); l != nil {
			l.cmd.Process.Kill()
			<-l.gone
		}
		s.log.Close()
		if t.Failed() {
			t.Logf("log of tollgate dev, its end:\n%s", s.logTail(4000))
		}
	})
	if p.sends {
		s.got = newReceiver(t, s)
	}
	s.args = []string{"--listen", "127.0.0.1:0", "--aws-listen", "127.0.0.1:0"}
	return s, s.start()
}

// start runs tollgate dev until its ready line. Restarts use the ports of the first start.
func (s *system) start() error {
	processes := ingests
	if s.point.fresh {
		processes = 1 // no warm process answers instead of a new one
	}
	args := append([]string{"dev", "--json", "--data", s.data, "--time-scale", strconv.Itoa(timeScale), "--consumers", strconv.Itoa(consumers), "--ingest", strconv.Itoa(processes)}, s.args...)
	if s.got == nil {
		args = append(args, "--no-reconcile")
	} else {
		args = append(args, "--destinations", s.got.file)
	}
	l := &life{cmd: exec.Command(filepath.Join(s.folder, "tollgate"), args...), gone: make(chan struct{})}
	l.cmd.Env = []string{"HOME=" + s.data}
	l.cmd.Stderr = s.log
	out, err := l.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := l.cmd.Start(); err != nil {
		return err
	}
	s.starts++
	ready := make(chan error, 1)
	go func() {
		r := bufio.NewReader(out)
		line, _ := r.ReadBytes('\n')
		err := json.Unmarshal(line, &l.info)
		ready <- err
		io.Copy(io.Discard, r)
		l.cmd.Wait()
		close(l.gone)
	}()
	select {
	case err = <-ready:
	case <-time.After(patience):
		err = errors.New("no ready line")
	}
	if err != nil {
		l.cmd.Process.Kill()
		return fmt.Errorf("start tollgate dev: %w: %s", err, s.logTail(1000))
	}
	host := func(url string) string { return strings.Split(strings.TrimPrefix(url, "http://"), "/")[0] }
	s.args = []string{"--listen", host(l.info.URL), "--aws-listen", host(l.info.Endpoint)}
	s.life.Store(l)
	if s.got != nil {
		return s.hideShortly()
	}
	return nil
}

// info returns the info of the last start.
func (s *system) info() local.Info { return s.life.Load().info }

func (s *system) logTail(n int) string {
	raw, _ := os.ReadFile(s.log.Name())
	return string(raw[max(0, len(raw)-n):])
}

// logged counts a text in the log.
func (s *system) logged(text string) int {
	raw, _ := os.ReadFile(s.log.Name())
	return strings.Count(string(raw), text)
}

// tollgate runs the command on the system; it may be killed at a failpoint.
func (s *system) tollgate(args ...string) (text string, err error) {
	cmd := exec.Command(filepath.Join(s.folder, "tollgate"), append(args, "--data", s.data)...)
	cmd.Env = []string{"HOME=/"}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// arm arms a point.
func (s *system) arm(point, action string) error {
	return os.WriteFile(s.armFile(point, action), nil, 0o600)
}

func (s *system) armFile(point, action string) string {
	return filepath.Join(s.folder, failpoint.Folder, point+"."+action)
}

// fired waits until a process has reached the armed point, and returns its pid.
func (s *system) fired(point, action string) (pid int, err error) {
	file := s.armFile(point, action)
	err = eventually(patience, 2*time.Millisecond, func() error {
		found, _ := filepath.Glob(file + ".*")
		if len(found) == 0 {
			return fmt.Errorf("no process reaches the point %s", point)
		}
		pid, _ = strconv.Atoi(strings.TrimPrefix(found[0], file+"."))
		return os.Remove(found[0])
	})
	return pid, err
}

// dead waits until a process has exited.
func dead(pid int) error {
	return eventually(patience, 2*time.Millisecond, func() error {
		if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("process %d is still there after it killed itself", pid)
		}
		return nil
	})
}

// eventually repeats ask until it returns no error or the time is over.
func eventually(limit, every time.Duration, ask func() error) error {
	end := time.NewTimer(limit)
	defer end.Stop()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		err := ask()
		if err == nil {
			return nil
		}
		select {
		case <-end.C:
			return fmt.Errorf("not within %v: %w", limit, err)
		case <-tick.C:
		}
	}
}

// group runs functions and keeps the first error.
type group struct {
	wg   sync.WaitGroup
	once sync.Once
	err  error
}

func (g *group) run(f func() error) {
	g.wg.Go(func() {
		if err := f(); err != nil {
			g.once.Do(func() { g.err = err })
		}
	})
}

func (g *group) wait() error {
	g.wg.Wait()
	return g.err
}
