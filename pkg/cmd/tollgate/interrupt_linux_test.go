package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"tollgate/pkg/cmd/tollgate/verb"
)

// process is a run of the command in a process of its own, at a terminal or not.
type process struct {
	t    *testing.T
	cmd  *exec.Cmd
	err  *os.File
	said string
}

// start runs the command on a system that the environment names. Its stdin is in; where
// that is a terminal, it is the one that Ctrl-C is pressed at.
func start(t *testing.T, env map[string]string, in *os.File, args ...string) *process {
	t.Helper()
	errs, w, err := os.Pipe()
	check(t, err)
	t.Cleanup(func() { errs.Close() })
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
	cmd.Env = append(os.Environ(), asCommand+"=1")
	for name, value := range env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	cmd.Dir, cmd.Stdin, cmd.Stderr = t.TempDir(), in, w
	if verb.IsTerminal(in) {
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	}
	check(t, cmd.Start())
	w.Close()
	return &process{t: t, cmd: cmd, err: errs}
}

// until reads stderr until it has text.
func (p *process) until(text string) {
	p.t.Helper()
	some := make([]byte, 4096)
	for !strings.Contains(p.said, text) {
		n, err := p.err.Read(some)
		if p.said += string(some[:n]); err != nil {
			p.t.Fatalf("it ended, and never printed %q: %s", text, p.said)
		}
	}
}

// ends waits for the end and holds the command to its exit code and its last words.
func (p *process) ends(code int, lastWords string) {
	p.t.Helper()
	rest, err := io.ReadAll(p.err)
	check(p.t, err)
	p.cmd.Wait()
	p.said += string(rest)
	if got := p.cmd.ProcessState.ExitCode(); got != code {
		p.t.Errorf("exit %d, want %d", got, code)
	}
	if !strings.HasSuffix(p.said, "\n"+lastWords+"\n") {
		p.t.Errorf("stderr is %q, want it to end in a line %q", p.said, lastWords)
	}
}

// terminal is a pseudo-terminal: what is typed, and what the command reads.
func terminal(t *testing.T) (keys, tty *os.File) {
	t.Helper()
	keys, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skip("no terminals here: ", err)
	}
	t.Cleanup(func() { keys.Close() })
	var number, unlocked uint32
	ioctl(t, keys, syscall.TIOCSPTLCK, unsafe.Pointer(&unlocked))
	ioctl(t, keys, syscall.TIOCGPTN, unsafe.Pointer(&number))
	tty, err = os.OpenFile(fmt.Sprint("/dev/pts/", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	check(t, err)
	t.Cleanup(func() { tty.Close() })
	return keys, tty
}

func ioctl(t *testing.T, f *os.File, request uintptr, arg unsafe.Pointer) {
	t.Helper()
	if _, _, fault := syscall.Syscall(syscall.SYS_IOCTL, f.Fd(), request, uintptr(arg)); fault != 0 {
		t.Fatal(fault)
	}
}

// echoes reports whether a terminal shows what is typed.
func echoes(t *testing.T, tty *os.File) bool {
	t.Helper()
	var mode syscall.Termios
	ioctl(t, tty, syscall.TCGETS, unsafe.Pointer(&mode))
	return mode.Lflag&syscall.ECHO != 0
}

const ctrlC = "\x03"

func (p *process) types(keys *os.File, text string) {
	p.t.Helper()
	_, err := keys.WriteString(text)
	check(p.t, err)
}

// TestCtrlCAtAQuestion: what asks before it changes something ends at once, with nothing changed.
func TestCtrlCAtAQuestion(t *testing.T) {
	s := newSystem(t)
	s.deadLetter(envelope("evt_1", "invoice.paid"), "handler", "no plan", 1)
	for _, args := range [][]string{{"redrive", "--all"}, {"dlq", "purge", "--all", "--note=x"}} {
		keys, tty := terminal(t)
		p := start(t, s.environment(), tty, args...)
		p.until("Continue? [y/N] ")
		p.types(keys, ctrlC)
		p.ends(verb.ExitFailed, "tollgate: interrupted: nothing was changed")
		s.allVisible(1)
		if left, err := os.ReadDir(p.cmd.Dir); err != nil || len(left) != 0 {
			t.Errorf("%v left %v, %v", args, left, err)
		}
	}
	if trail := s.tollgate("audit", "list", "--json").ok(t).out; trail != "" {
		t.Errorf("the audit trail is %s", trail)
	}

	for _, c := range []struct {
		text       string
		code, left int
	}{{"\n", verb.ExitUsage, 1}, {"no\n", verb.ExitUsage, 1}, {"Yes\n", verb.ExitDone, 0}} {
		keys, tty := terminal(t)
		p := start(t, s.environment(), tty, "redrive", "--all")
		p.until("Continue? [y/N] ")
		p.types(keys, c.text)
		if p.cmd.Wait(); p.cmd.ProcessState.ExitCode() != c.code {
			t.Errorf("%q: exit %d, want %d", c.text, p.cmd.ProcessState.ExitCode(), c.code)
		}
		s.allVisible(c.left)
	}
}

// TestCtrlCAtTheSecret: the terminal shows again what is typed.
func TestCtrlCAtTheSecret(t *testing.T) {
	r := newRegistry(t)
	keys, tty := terminal(t)
	p := start(t, r.env, tty, "secret", "roll", "--yes")
	p.until("The new secret (it is not shown): ")
	for end := time.Now().Add(time.Second); echoes(t, tty) && time.Now().Before(end); { // it ends just after the question
		runtime.Gosched()
	}
	if echoes(t, tty) {
		t.Error("what is typed is shown")
	}
	p.types(keys, "whsec_half")
	p.types(keys, ctrlC)
	p.ends(verb.ExitFailed, "tollgate: interrupted: no secret was read, nothing was changed")
	if !echoes(t, tty) {
		t.Error("the terminal shows no longer what is typed")
	}
	if got := r.stored("default"); !slices.Equal(got, []string{"whsec_first"}) {
		t.Errorf("stored %v", got)
	}
}

// TestSignalWhileAPipeIsSilent: neither a pipe nor a named one holds the command.
func TestSignalWhileAPipeIsSilent(t *testing.T) {
	r := newRegistry(t)
	in, silent, err := os.Pipe()
	check(t, err)
	defer in.Close()
	defer silent.Close()
	fifo := filepath.Join(t.TempDir(), "fifo")
	check(t, syscall.Mkfifo(fifo, 0o600))
	for _, c := range []struct {
		signal os.Signal
		args   []string
	}{
		{os.Interrupt, nil}, {syscall.SIGTERM, nil}, {os.Interrupt, []string{"--new-secret-file", "-"}}, {os.Interrupt, []string{"--new-secret-file", fifo}},
	} {
		p := start(t, r.env, in, append([]string{"secret", "roll", "--yes"}, c.args...)...)
		p.until("store a new secret")
		check(t, p.cmd.Process.Signal(c.signal))
		p.ends(verb.ExitFailed, "tollgate: interrupted: no secret was read, nothing was changed")
	}
	if got := r.stored("default"); !slices.Equal(got, []string{"whsec_first"}) {
		t.Errorf("stored %v", got)
	}
}
