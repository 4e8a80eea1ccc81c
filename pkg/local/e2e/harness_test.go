// Package e2e_test runs the whole system as its users do: the real command and the real
// function binaries as processes, over sockets, on a data folder that outlives them.
package e2e_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
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

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/stripe/stripe-go/v76/webhook"

	"tollgate/pkg/local"
)

// binaries is the folder of the command and the functions, built once.
var binaries string

func TestMain(m *testing.M) {
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
	for out, packages := range map[string][]string{
		dir + "/":                {"tollgate/functions/ingest", "tollgate/functions/consumer", "tollgate/pkg/cmd/tollgate"},
		dir + "/trials/":         {"tollgate/functions/ingest"},
		dir + "/trials/consumer": {"tollgate/pkg/local/e2e/trialconsumer"},
	} {
		args := append([]string{"build", "-tags", "lambda.norpc", "-trimpath", "-buildvcs=false", "-o", out}, packages...)
		if text, err := exec.Command("go", args...).CombinedOutput(); err != nil {
			return fmt.Errorf("%v: %s", err, text)
		}
	}
	return nil
}

// system is a running tollgate dev.
type system struct {
	t    *testing.T
	info local.Info
	cmd  *exec.Cmd
	log  *logBuffer
	done chan error
}

// startup bounds the time to the ready line; the promise for a warm start is 5 s, this
// also holds on a machine that is busy with other tests.
const startup = 60 * time.Second

// start runs tollgate dev on free ports with more arguments and ends it with the test.
func start(t *testing.T, data string, args ...string) *system {
	t.Helper()
	args = append([]string{"dev", "--json", "--data", data, "--listen", "127.0.0.1:0", "--aws-listen", "127.0.0.1:0"}, args...)
	cmd := exec.Command(filepath.Join(binaries, "tollgate"), args...)
	cmd.Env = []string{"HOME=" + data} // nothing of the caller's names another system
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	s := &system{t: t, cmd: cmd, log: &logBuffer{}, done: make(chan error, 1)}
	cmd.Stderr = s.log
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ready := make(chan []byte, 1)
	go func() {
		line, _ := bufio.NewReader(out).ReadBytes('\n')
		ready <- line
		io.Copy(io.Discard, out)
		s.done <- cmd.Wait()
	}()
	t.Cleanup(func() {
		s.kill()
		if t.Failed() {
			t.Logf("log of tollgate dev, its end:\n%s", s.log.tail(4000))
		}
	})
	select {
	case line := <-ready:
		if err := json.Unmarshal(line, &s.info); err != nil {
			t.Fatalf("ready line %q: %v\n%s", line, err, s.log)
		}
	case <-time.After(startup):
		t.Fatalf("not ready after %v\n%s", startup, s.log)
	}
	return s
}

// stop interrupts the system as Ctrl-C does, and waits for its end.
func (s *system) stop() {
	s.t.Helper()
	s.cmd.Process.Signal(os.Interrupt)
	select {
	case err := <-s.done:
		s.done <- err
		if err != nil {
			s.t.Errorf("tollgate dev ended with %v after an interrupt\n%s", err, s.log.tail(2000))
		}
	case <-time.After(startup):
		s.t.Errorf("tollgate dev did not end after an interrupt")
	}
}

// kill ends the system's process at once and waits for it. Its functions must die with it.
func (s *system) kill() {
	s.cmd.Process.Kill()
	s.done <- <-s.done
}

// children are the pids of the system's function processes of one name.
func (s *system) children(name string) []int {
	var pids []int
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", s.cmd.Process.Pid))
	for _, file := range tasks {
		raw, _ := os.ReadFile(file)
		for _, field := range strings.Fields(string(raw)) {
			exe, _ := os.Readlink("/proc/" + field + "/exe")
			if filepath.Base(exe) == name {
				var pid int
				fmt.Sscan(field, &pid)
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

// tollgate runs the command on the system and returns what it wrote and its exit code.
func (s *system) tollgate(args ...string) (out, errOut string, code int) {
	s.t.Helper()
	return run(s.t, append(args, "--data", filepath.Dir(s.infoFile()))...)
}

func (s *system) infoFile() string {
	for i, a := range s.cmd.Args {
		if a == "--data" {
			return filepath.Join(s.cmd.Args[i+1], local.InfoFile)
		}
	}
	return ""
}

func run(t *testing.T, args ...string) (out, errOut string, code int) {
	t.Helper()
	cmd := exec.Command(filepath.Join(binaries, "tollgate"), args...)
	cmd.Env = []string{"HOME=/"}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()
}

func (s *system) table() *dynamodb.Client {
	return dynamodb.NewFromConfig(local.AWSConfig(s.info.Endpoint))
}

func (s *system) queues() *sqs.Client {
	return sqs.NewFromConfig(local.AWSConfig(s.info.Endpoint))
}

// item is a table item's strings and numbers.
type item map[string]string

// items reads the whole table, consistently.
func (s *system) items() map[string]item {
	s.t.Helper()
	all := map[string]item{}
	consistent := true
	pages := dynamodb.NewScanPaginator(s.table(), &dynamodb.ScanInput{TableName: &s.info.Table, ConsistentRead: &consistent})
	for pages.HasMorePages() {
		page, err := pages.NextPage(s.t.Context())
		if err != nil {
			s.t.Fatalf("scan: %v", err)
		}
		for _, raw := range page.Items {
			it := item{}
			for name, value := range raw {
				switch v := value.(type) {
				case *types.AttributeValueMemberS:
					it[name] = v.Value
				case *types.AttributeValueMemberN:
					it[name] = v.Value
				}
			}
			all[it["pk"]] = it
		}
	}
	return all
}

// eventually polls until ok or the bound is over; what says what was last seen.
func eventually(t *testing.T, bound time.Duration, ok func() (bool, string)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), bound)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		good, seen := ok()
		if good {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("not within %v: %s", bound, seen)
		case <-tick.C:
		}
	}
}

// count returns how many items have a key prefix, and how many of these a state.
func count(all map[string]item, prefix, state string) (n, inState int) {
	for key, it := range all {
		if strings.HasPrefix(key, prefix) {
			n++
			if it["st"] == state {
				inState++
			}
		}
	}
	return n, inState
}

// event makes an event of a type with an object of its own.
func event(id, typ string) []byte {
	object, name := "in_"+id, "invoice"
	if strings.HasPrefix(typ, "payment_intent.") {
		object, name = "pi_"+id, "payment_intent"
	}
	return fmt.Appendf(nil, `{"id":"evt_%s","object":"event","api_version":"2023-10-16","created":%d,"data":{"object":{"id":%q,"object":%q,"status":"paid","paid":true,"amount_paid":100,"currency":"eur","metadata":{"mark":"payload-marker"}}},"livemode":false,"pending_webhooks":1,"request":null,"type":%q}`,
		id, time.Now().Unix(), object, name, typ)
}

func sign(body []byte, secret string) string {
	return webhook.GenerateTestSignedPayload(&webhook.UnsignedPayload{Payload: body, Secret: secret}).Header
}

// logBuffer keeps what a process wrote.
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
