package lambdahost

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func testBinary(t *testing.T) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// newFunction makes a function of this test binary; the options' zero fields get test values.
func newFunction(t *testing.T, o Options) *Function {
	t.Helper()
	o.Name = "probe"
	if o.Path == "" {
		o.Path = testBinary(t)
	}
	if o.Timeout == 0 {
		o.Timeout = 30 * time.Second
	}
	f, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel() // whatever still hangs is killed
		f.Close(ctx)
	})
	return f
}

func invoke(t *testing.T, f *Function, r request) (string, error) {
	t.Helper()
	payload, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := f.Invoke(t.Context(), payload)
	return string(answer), err
}

// processes counts those that run and, of them, those that wait for an invocation.
func (f *Function) processes() (running, idle int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.environments), len(f.idle)
}

func (f *Function) running() int {
	n, _ := f.processes()
	return n
}

func mustInvoke(t *testing.T, f *Function, r request) string {
	t.Helper()
	got, err := invoke(t, f, r)
	if err != nil {
		t.Fatalf("invoke %+v: %v", r, err)
	}
	return got
}

func invokePID(t *testing.T, f *Function) int {
	t.Helper()
	var pid int
	if err := json.Unmarshal([]byte(mustInvoke(t, f, request{Do: "pid"})), &pid); err != nil {
		t.Fatal(err)
	}
	return pid
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	limit := time.NewTimer(20 * time.Second)
	defer limit.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-limit.C:
			t.Fatal("never came true: ", what)
		}
	}
}

func TestInvokeFailures(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		request request
		timeout time.Duration
		want    FunctionError
		sameEnv bool // the process lives on
	}{
		{name: "returned error", request: request{Do: "error", Text: "no luck"},
			want: FunctionError{Type: "errorString", Message: "no luck"}, sameEnv: true},
		{name: "panic", request: request{Do: "panic", Text: "oh no"},
			want: FunctionError{Type: "string", Message: "oh no"}},
		{name: "exit 7", request: request{Do: "exit", Size: 7},
			want: FunctionError{Type: TypeExit, Message: "Runtime exited with error: exit status 7"}},
		{name: "exit 0", request: request{Do: "exit"},
			want: FunctionError{Type: TypeExit, Message: "Runtime exited without providing a reason"}},
		{name: "ignores its deadline", request: request{Do: "hang"}, timeout: time.Second,
			want: FunctionError{Type: TypeTimedOut, Message: "Task timed out after 1.00 seconds"}},
		{name: "answer too large", request: request{Do: "big", Size: MaxResponseBytes - 1}, // and two quotes
			want: FunctionError{Type: TypeResponseTooLarge, Message: "Response payload size exceeded maximum allowed payload size (6291556 bytes)."}},
		{name: "answer breaks off", request: request{Do: "broken stream"},
			want: FunctionError{Type: "errorString", Message: "stream broke"}, sameEnv: true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			f := newFunction(t, Options{Timeout: test.timeout})
			before := invokePID(t, f)
			_, err := invoke(t, f, test.request)
			got, ok := errors.AsType[*FunctionError](err)
			if !ok {
				t.Fatalf("error %v is no FunctionError", err)
			}
			wantPayload := map[string]any{"errorType": got.Type, "errorMessage": got.Message}
			id := "RequestId: " + got.RequestID + " Error: "
			if diff := cmp.Diff(test.want, FunctionError{Type: got.Type, Message: strings.TrimPrefix(got.Message, id)}); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
			var payload map[string]any
			if err := json.Unmarshal(got.Payload, &payload); err != nil {
				t.Fatalf("payload %q: %v", got.Payload, err)
			}
			delete(payload, "stackTrace")
			if diff := cmp.Diff(wantPayload, payload); diff != "" {
				t.Errorf("payload (-want +got):\n%s", diff)
			}
			// What follows finds a free environment at once, the old one or a fresh one.
			if after := invokePID(t, f); (after == before) != test.sameEnv {
				t.Errorf("process %d then %d, want the same: %v", before, after, test.sameEnv)
			}
		})
	}
}

func TestInvokeContext(t *testing.T) {
	t.Parallel()
	f := newFunction(t, Options{Timeout: time.Minute, Env: map[string]string{"AWS_REGION": "eu-west-1"}})
	res, err := f.Invoke(t.Context(), []byte(`{"Do":"context"}`))
	if err != nil {
		t.Fatal(err)
	}
	var v invocationView
	if err := json.Unmarshal(res, &v); err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`).MatchString(v.RequestID) {
		t.Errorf("request id %q is no UUID", v.RequestID)
	}
	if !regexp.MustCompile(`^Root=1-[0-9a-f]{8}-[0-9a-f]{24};Sampled=0$`).MatchString(v.Trace) {
		t.Errorf("trace id %q", v.Trace)
	}
	if v.ARN != "arn:aws:lambda:eu-west-1:000000000000:function:probe" {
		t.Errorf("arn %q", v.ARN)
	}
	if v.Left > time.Minute || v.Left < 50*time.Second {
		t.Errorf("%v left of a minute", v.Left)
	}
}

func TestEnvironmentIsBuiltFromNothing(t *testing.T) {
	t.Setenv("LAMBDAHOST_MUST_NOT_LEAK", "secret")
	f := newFunction(t, Options{Env: map[string]string{"TABLE": "t", "TZ": "UTC"}})
	var list []string
	if err := json.Unmarshal([]byte(mustInvoke(t, f, request{Do: "environ"})), &list); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, v := range list {
		name, value, _ := strings.Cut(v, "=")
		got[name] = value
	}
	for name, pattern := range map[string]string{
		"AWS_LAMBDA_RUNTIME_API":     `^127\.0\.0\.1:\d+/[A-Z2-7]{26}$`,
		"AWS_LAMBDA_LOG_STREAM_NAME": `^\d{4}/\d\d/\d\d/\[\$LATEST\][0-9a-f]{32}$`,
		"_X_AMZN_TRACE_ID":           `^Root=`,
	} {
		if !regexp.MustCompile(pattern).MatchString(got[name]) {
			t.Errorf("%s=%q", name, got[name])
		}
		delete(got, name)
	}
	want := map[string]string{
		"_HANDLER": "bootstrap", "AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1",
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128", "AWS_LAMBDA_FUNCTION_NAME": "probe",
		"AWS_LAMBDA_FUNCTION_VERSION": "$LATEST", "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
		"AWS_LAMBDA_LOG_FORMAT": "Text", "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/probe",
		"LAMBDA_RUNTIME_DIR": "/var/runtime", "LAMBDA_TASK_ROOT": filepath.Dir(testBinary(t)),
		"LANG": "en_US.UTF-8", "PATH": "/usr/local/bin:/usr/bin:/bin:/opt/bin",
		"TABLE": "t", "TZ": "UTC",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("environment (-want +got):\n%s", diff)
	}
}

func TestPayloadLimits(t *testing.T) {
	t.Parallel()
	f := newFunction(t, Options{})
	_, err := f.Invoke(t.Context(), make([]byte, MaxRequestBytes+1))
	if err == nil || !strings.Contains(err.Error(), "6291457 byte payload is too large") {
		t.Errorf("error %v", err)
	}
	text := strings.Repeat("é", (MaxRequestBytes-40)/2)
	if got, err := invoke(t, f, request{Do: "echo", Text: text}); got != `"`+text+`"` {
		t.Errorf("echo of %d bytes gave %d and %v", len(text), len(got), err)
	}
	if got := mustInvoke(t, f, request{Do: "big", Size: MaxResponseBytes - 2}); len(got) != MaxResponseBytes {
		t.Errorf("largest answer has %d bytes", len(got))
	}
	if _, err := f.Invoke(t.Context(), nil); err == nil || !strings.Contains(err.Error(), `unknown request ""`) {
		t.Errorf("empty payload: %v, want the function to see {}", err)
	}
}

func TestConcurrency(t *testing.T) {
	t.Parallel()
	const most = 3
	var out lineBuffer
	f := newFunction(t, Options{Concurrency: most, Stdout: &out})
	var wg sync.WaitGroup
	for range most {
		wg.Go(func() { invoke(t, f, request{Do: "hang"}) })
	}
	eventually(t, "all environments are busy", func() bool { return len(out.all()) == most })
	if _, err := invoke(t, f, request{Do: "echo"}); !errors.Is(err, ErrThrottled) {
		t.Errorf("one more: %v", err)
	}
	if _, err := f.InvokeWait(t.Context(), nil, 10*time.Millisecond); !errors.Is(err, ErrThrottled) {
		t.Errorf("one more that waits: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	wg.Go(func() {
		if _, err := f.InvokeWait(ctx, nil, time.Hour); !errors.Is(err, context.Canceled) {
			t.Errorf("one more whose caller leaves: %v", err)
		}
	})
	cancel()
	wg.Go(func() {
		if res, err := f.InvokeWait(t.Context(), []byte(`{"Do":"echo","Text":"a"}`), time.Hour); err != nil || string(res) != `"a"` {
			t.Errorf("one more that has time: %s, %v", res, err)
		}
	})
	f.mu.Lock()
	for e := range f.environments {
		syscall.Kill(e.cmd.Process.Pid, syscall.SIGKILL)
	}
	f.mu.Unlock()
	wg.Wait()
	if running, idle := f.processes(); running != 1 || idle != 1 {
		t.Errorf("%d processes run, %d idle, want 1 and 1", running, idle)
	}
}

func TestWarmEnvironmentsServeMany(t *testing.T) {
	t.Parallel()
	f := newFunction(t, Options{Concurrency: 4})
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for i := range 50 {
				text := fmt.Sprint(worker, "-", i)
				res, err := f.InvokeWait(t.Context(), fmt.Appendf(nil, `{"Do":"echo","Text":%q}`, text), time.Minute)
				if err != nil || string(res) != `"`+text+`"` {
					t.Errorf("echo %s: %s, %v", text, res, err)
				}
			}
		})
	}
	wg.Wait()
	if n := f.running(); n < 1 || n > 4 {
		t.Errorf("%d processes run, want 1 to 4", n)
	}
}

func TestKilledFromOutside(t *testing.T) {
	t.Parallel()
	t.Run("idle", func(t *testing.T) {
		f := newFunction(t, Options{})
		pid := invokePID(t, f)
		syscall.Kill(pid, syscall.SIGKILL)
		eventually(t, "the death is seen", func() bool { return f.running() == 0 })
		if next := invokePID(t, f); next == pid {
			t.Errorf("process %d came back", pid)
		}
	})
	t.Run("running", func(t *testing.T) {
		var out lineBuffer
		f := newFunction(t, Options{Stdout: &out})
		failed := make(chan error, 1)
		go func() { _, err := invoke(t, f, request{Do: "hang"}); failed <- err }()
		eventually(t, "it runs", func() bool { return len(out.all()) == 1 })
		var pid int
		if _, err := fmt.Sscanf(out.all()[0], "hanging %d", &pid); err != nil {
			t.Fatal(err)
		}
		syscall.Kill(pid, syscall.SIGKILL)
		err := <-failed
		if fe, ok := errors.AsType[*FunctionError](err); !ok || fe.Type != TypeExit || !strings.HasSuffix(fe.Message, "signal: killed") {
			t.Errorf("error %v", err)
		}
		mustInvoke(t, f, request{Do: "echo"})
	})
}

func TestCallerLeaves(t *testing.T) {
	t.Parallel()
	f := newFunction(t, Options{Timeout: time.Second})
	ctx, cancel := context.WithCancel(t.Context())
	left := make(chan error, 1)
	go func() { _, err := f.Invoke(ctx, []byte(`{"Do":"hang"}`)); left <- err }()
	eventually(t, "it runs", func() bool { return f.running() == 1 })
	cancel()
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if _, err := f.Invoke(ctx, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("with a dead context: %v", err)
	}
	eventually(t, "the function ran on into its timeout", func() bool { return f.running() == 0 })
}

// lineBuffer collects log lines.
type lineBuffer struct {
	mu    sync.Mutex
	lines []string
}

func (b *lineBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lines = append(b.lines, string(p))
	return len(p), nil
}

func (b *lineBuffer) all() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.lines)
}

func TestOutput(t *testing.T) {
	t.Parallel()
	var out, errs lineBuffer
	f := newFunction(t, Options{Stdout: &out, Stderr: &errs})
	mustInvoke(t, f, request{Do: "print", Text: "one\ntwo"})
	mustInvoke(t, f, request{Do: "print", Text: strings.Repeat("y", MaxLineBytes+1)})
	if err := f.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	full := strings.Repeat("y", MaxLineBytes)
	if diff := cmp.Diff([]string{"one\n", "two\n", full + "\n", "y\n"}, out.all()); diff != "" {
		t.Errorf("stdout (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"err: one\n", "two\n", "err: " + full[5:] + "\n", "yyyyyy\n"}, errs.all()); diff != "" {
		t.Errorf("stderr (-want +got):\n%s", diff)
	}
}

// TestNoGoroutineLeft is not parallel: it counts.
func TestNoGoroutineLeft(t *testing.T) {
	before := runtime.NumGoroutine()
	for range 3 {
		f := newFunction(t, Options{Concurrency: 3})
		for _, do := range []string{"echo", "error", "panic", "exit", "echo"} {
			invoke(t, f, request{Do: do})
		}
		if err := f.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the goroutines end", func() bool { return runtime.NumGoroutine() <= before })
}

// TestLateKill: the process gets its deadline as usual, and is killed later.
func TestLateKill(t *testing.T) {
	const timeout, late = 100 * time.Millisecond, 300 * time.Millisecond
	f := newFunction(t, Options{Timeout: timeout, Late: late})
	if _, err := f.Invoke(t.Context(), []byte(`{"Do":"echo"}`)); err != nil { // a start takes as long as it takes
		t.Fatal(err)
	}
	began := time.Now()
	_, err := f.Invoke(t.Context(), []byte(`{"Do":"hang"}`))
	failed, ok := errors.AsType[*FunctionError](err)
	if took := time.Since(began); !ok || failed.Type != TypeTimedOut || took < timeout+late {
		t.Errorf("killed after %v with %v, want %v after %v at the earliest", took, err, TypeTimedOut, timeout+late)
	}
	if _, err := New(Options{Name: "probe", Path: testBinary(t), Late: -1}); err == nil {
		t.Error("a negative time is taken")
	}
}
