//go:build unix

package e2e_test

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"tollgate/pkg/local"
)

func TestCtrlCEndsEverythingThatDevStarted(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	began := time.Now()
	s := start(t, data)
	t.Logf("ready after %v", time.Since(began))
	s.enqueue(event("before_the_end", "invoice.paid"))
	s.becomesDone("before_the_end")
	functions := s.children("ingest", "consumer")
	if runtime.GOOS == "linux" && len(functions) < 2 {
		t.Errorf("%d function processes, want one of each at least", len(functions))
	}

	began = time.Now()
	s.interrupt()
	t.Logf("ended %v after the interrupt", time.Since(began))
	gone(t, functions)
	if _, err := os.Stat(filepath.Join(data, local.InfoFile)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s after the end: %v, want it gone", local.InfoFile, err)
	}
	for _, url := range []string{s.info.URL, s.info.Endpoint, s.info.StripeURL} {
		l, err := net.Listen("tcp", host(url))
		if err != nil {
			t.Errorf("the port of %s is not free: %v", url, err)
			continue
		}
		l.Close()
	}
	if _, _, code := s.tollgate("events", "list"); code != 2 {
		t.Errorf("exit %d of a verb without a system, want 2", code)
	}

	again := start(t, data)
	if again.info.Secret != s.info.Secret {
		t.Error("the signing secret changed with a restart: what was configured elsewhere would stop to work")
	}
	if again.info.AccessKey != s.info.AccessKey {
		t.Error("the access key changed with a restart: shells that have it would be refused")
	}
	if st := again.story("before_the_end"); st.Status != "done" {
		t.Errorf("after a restart the event is %+v, want it done", st)
	}
}

func host(url string) string {
	address, _, _ := strings.Cut(strings.TrimPrefix(url, "http://"), "/")
	return address
}

// TestDevStartErrorsAreOneLine: no stack trace, no half-started system, exit code 1, and 2 for
// invalid options.
func TestDevStartErrorsAreOneLine(t *testing.T) {
	t.Parallel()
	running := start(t, t.TempDir())
	for _, c := range []struct {
		name string
		data func(*testing.T) string
		args []string
		want string
	}{
		{"port of the front in use", emptyFolder, []string{"--listen", host(running.info.URL)}, "port in use"},
		{"port of the services in use", emptyFolder, []string{"--aws-listen", host(running.info.Endpoint)}, "port in use"},
		{"options that are not loopback", emptyFolder, []string{"--listen", "0.0.0.0:0"}, "loopback"},
		{"garbage in the queues", garbageIn("sqs.db"), nil, "not a database"},
		{"garbage in the table", garbageIn("dynamodb.db"), nil, "not a database"},
		{"garbage in the secrets", garbageIn("secrets.db"), nil, "not a database"},
		{"garbage in the mappings", garbageIn("lambda.json"), nil, "delete the file to enable all"},
		{"an empty file of the queues", cut(running, "sqs.db", 0), nil, "remove it and lose its data"},
		{"an empty file of the table", cut(running, "dynamodb.db", 0), nil, "remove it and lose its data"},
		{"an empty file of the secrets", cut(running, "secrets.db", 0), nil, "remove it and lose its data"},
		{"an empty file of the fake Stripe", cut(running, "stripe.db", 0), nil, "the fake Stripe only loses"},
		{"queues cut short", cut(running, "sqs.db", 2), nil, "damaged"},
		{"table cut short", cut(running, "dynamodb.db", 2), nil, "damaged"},
		{"secrets cut short", cut(running, "secrets.db", 2), nil, "damaged"},
		{"folder of another dev", func(*testing.T) string { return running.data }, nil, "another process has it open"},
		{"folder that may not be written", readOnlyFolder, nil, "permission denied"},
		{"folder that is a file", func(t *testing.T) string { return filepath.Join(garbageIn("file")(t), "file") }, nil, "not a directory"},
		{"no functions", emptyFolder, []string{"--functions", "nowhere"}, "no binary at"},
		{"a table that is not there", emptyFolder, []string{"--table", "tollgate-restored"}, "find table tollgate-restored, which must be there"},
		{"several wrong options", emptyFolder, []string{"--time-scale", "1000", "--consumers", "1000"}, "; consumer concurrency"},
	} {
		t.Run(c.name, func(t *testing.T) {
			data := c.data(t)
			cmd := devCommand(data, c.args...)
			if c.want == "permission denied" && os.Geteuid() == 0 { // whom no permission stops
				cmd.SysProcAttr = asOtherUser(t, data)
			}
			out, errOut, code := run(t, withoutJSON(cmd))
			wantCode := 1
			if strings.Contains(c.name, "options") {
				wantCode = 2
			}
			if code != wantCode || out != "" || strings.Count(errOut, "\n") != 1 || !strings.Contains(errOut, c.want) {
				t.Errorf("exit %d, stdout %q, stderr %q; want exit %d and one line with %q", code, out, errOut, wantCode, c.want)
			}
		})
	}
	running.enqueue(event("undisturbed", "invoice.paid"))
	running.becomesDone("undisturbed")
	if _, err := local.ReadInfo(running.data); err != nil {
		t.Errorf("the running system's file after another dev on its folder: %v", err)
	}
}

func emptyFolder(t *testing.T) string { return t.TempDir() }

func garbageIn(name string) func(*testing.T) string {
	return func(t *testing.T) string {
		dir := t.TempDir()
		must(t, os.WriteFile(filepath.Join(dir, name), []byte(strings.Repeat("garbage", 5000)), 0o600))
		return dir
	}
}

// cut keeps the first 1/n of a good file, and nothing of it for n = 0.
func cut(s *system, name string, parts int) func(*testing.T) string {
	return func(t *testing.T) string {
		raw, err := os.ReadFile(filepath.Join(s.data, name))
		must(t, err)
		dir := t.TempDir()
		if parts == 0 {
			raw, parts = nil, 1
		}
		must(t, os.WriteFile(filepath.Join(dir, name), raw[:len(raw)/parts], 0o600))
		return dir
	}
}

func readOnlyFolder(t *testing.T) string {
	dir := t.TempDir()
	must(t, os.Chmod(dir, 0o500))
	return dir
}

// asOtherUser runs a command as a user who owns only the data folder.
func asOtherUser(t *testing.T, data string) *syscall.SysProcAttr {
	t.Helper()
	const unprivileged = 65534
	must(t, errors.Join(os.Chmod(filepath.Dir(data), 0o755), os.Chown(data, unprivileged, unprivileged)))
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: unprivileged, Gid: unprivileged}}
}

func withoutJSON(cmd *exec.Cmd) *exec.Cmd {
	var args []string
	for _, a := range cmd.Args {
		if a != "--json" {
			args = append(args, a)
		}
	}
	cmd.Args = args
	return cmd
}
