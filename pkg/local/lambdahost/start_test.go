package lambdahost

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	plain := filepath.Join(dir, "plain")
	if err := os.WriteFile(plain, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	good := testBinary(t)
	tests := []struct {
		name    string
		options Options
		want    string
	}{
		{"no name", Options{Path: good}, "function name"},
		{"bad name", Options{Name: "a b", Path: good}, "function name"},
		{"no path", Options{Name: "a"}, "no path"},
		{"missing", Options{Name: "a", Path: filepath.Join(dir, "none")}, "start function a: Runtime.InvalidEntrypoint: no binary at"},
		{"not executable", Options{Name: "a", Path: plain}, "is not executable"},
		{"directory", Options{Name: "a", Path: dir}, "not a regular file"},
		{"negative timeout", Options{Name: "a", Path: good, Timeout: -1}, "timeout"},
		{"long timeout", Options{Name: "a", Path: good, Timeout: 16 * time.Minute}, "timeout"},
		{"negative init", Options{Name: "a", Path: good, InitTimeout: -1}, "negative"},
		{"concurrency", Options{Name: "a", Path: good, Concurrency: 1001}, "concurrency"},
		{"reserved", Options{Name: "a", Path: good, Env: map[string]string{"AWS_LAMBDA_RUNTIME_API": "x"}}, "reserved"},
		{"handler", Options{Name: "a", Path: good, Env: map[string]string{"_HANDLER": "x"}}, "reserved"},
		{"broken variable", Options{Name: "a", Path: good, Env: map[string]string{"A=B": "x"}}, "environment variable"},
		{"null byte", Options{Name: "a", Path: good, Env: map[string]string{"A": "x\x00"}}, "environment variable"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := New(test.options)
			if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %v, want one line with %q", err, test.want)
			}
		})
	}
}

func TestStartFailures(t *testing.T) {
	t.Parallel()
	broken := filepath.Join(t.TempDir(), "broken")
	if err := os.WriteFile(broken, []byte("no program"), 0o700); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name    string
		options Options
		want    string
	}{
		{"exits", Options{Env: map[string]string{"AT_INIT": "exit"}},
			"start function probe: Runtime.ExitError: Runtime exited with error: exit status 3 before it asked for an invocation"},
		{"hangs", Options{Env: map[string]string{"AT_INIT": "hang"}, InitTimeout: 200 * time.Millisecond},
			"start function probe: Sandbox.Timedout: init was not over after 200ms"},
		{"reports", Options{Env: map[string]string{"AT_INIT": "report"}},
			"start function probe: Config.Missing: no table is set"},
		{"no program", Options{Path: broken},
			"start function probe: Runtime.InvalidEntrypoint: fork/exec " + broken + ": exec format error"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			f := newFunction(t, test.options)
			_, err := invoke(t, f, request{Do: "echo"})
			if _, ok := errors.AsType[*StartError](err); !ok || err.Error() != test.want {
				t.Errorf("error %q,\nwant  %q", err, test.want)
			}
			if n := f.running(); n != 0 {
				t.Errorf("%d processes are left", n)
			}
		})
	}
}

func TestBinaryVanishes(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "function")
	if err := os.Symlink(testBinary(t), path); err != nil {
		t.Fatal(err)
	}
	f := newFunction(t, Options{Path: path})
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := invoke(t, f, request{Do: "echo"}); err == nil || !strings.Contains(err.Error(), "no binary at "+path) {
		t.Fatalf("error %v", err)
	}
	if err := os.Symlink(testBinary(t), path); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the function works again", func() bool { _, err := invoke(t, f, request{Do: "echo"}); return err == nil })
}

func TestCrashLoopDoesNotSpin(t *testing.T) {
	t.Parallel()
	var out lineBuffer
	f := newFunction(t, Options{Concurrency: 8, Env: map[string]string{"AT_INIT": "exit"}, Stdout: &out})
	var wg sync.WaitGroup
	deadline := time.Now().Add(400 * time.Millisecond)
	for range 8 {
		wg.Go(func() {
			for time.Now().Before(deadline) {
				if _, err := invoke(t, f, request{Do: "echo"}); err == nil {
					t.Error("a function that cannot start answered")
				}
			}
		})
	}
	wg.Wait()
	// The first round starts up to eight; then one is let through after 100 ms and one after 200 ms more.
	if n := len(out.all()); n < 1 || n > 8+3 {
		t.Errorf("%d starts", n)
	}
}

func TestStartGate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var g startGate
		broken := errors.New("broken")
		fail := func() {
			if err := g.enter(time.Now()); err != nil {
				t.Fatal("the gate is shut")
			}
			g.leave(time.Now(), broken)
		}
		for i, delay := range []time.Duration{100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000} {
			fail()
			time.Sleep(delay*time.Millisecond - time.Nanosecond)
			if g.enter(time.Now()) != broken {
				t.Errorf("failure %d: a start before %d ms", i+1, delay)
			}
			time.Sleep(time.Nanosecond)
		}
		if g.enter(time.Now()) != nil || g.enter(time.Now()) != broken {
			t.Error("want one start at a time")
		}
		g.leave(time.Now(), nil)
		fail()
		time.Sleep(firstStartDelay)
		fail()
	})
}

func TestClose(t *testing.T) {
	t.Parallel()
	t.Run("drains", func(t *testing.T) {
		t.Parallel()
		f := newFunction(t, Options{Timeout: 300 * time.Millisecond})
		ran := make(chan error, 1)
		go func() { _, err := invoke(t, f, request{Do: "hang"}); ran <- err }()
		eventually(t, "it runs", func() bool { return f.running() == 1 })
		waits := make(chan error, 1)
		go func() { _, err := f.InvokeWait(context.Background(), nil, time.Hour); waits <- err }()
		if err := f.Close(t.Context()); err != nil {
			t.Errorf("close: %v", err)
		}
		if fe, ok := errors.AsType[*FunctionError](<-ran); !ok || fe.Type != TypeTimedOut {
			t.Errorf("the invocation that ran ended with %v", fe)
		}
		if err := <-waits; !errors.Is(err, ErrClosed) {
			t.Errorf("the one that waited: %v", err)
		}
		if _, err := invoke(t, f, request{}); !errors.Is(err, ErrClosed) && !errors.Is(err, ErrThrottled) {
			t.Errorf("one more: %v", err)
		}
		if n := f.running(); n != 0 {
			t.Errorf("%d processes are left", n)
		}
	})
	t.Run("runs out of patience", func(t *testing.T) {
		t.Parallel()
		f := newFunction(t, Options{Concurrency: 2})
		ran := make(chan error, 1)
		go func() { _, err := invoke(t, f, request{Do: "hang"}); ran <- err }()
		eventually(t, "it runs", func() bool { return f.running() == 1 })
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := f.Close(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("close: %v", err)
		}
		if err := <-ran; err == nil {
			t.Error("the killed invocation succeeded")
		}
		if f.running() != 0 {
			t.Error("a process is left")
		}
		if again := f.Close(t.Context()); !errors.Is(again, context.Canceled) {
			t.Errorf("second close: %v", again)
		}
	})
	t.Run("kills who ignores SIGTERM", func(t *testing.T) {
		t.Parallel()
		f := newFunction(t, Options{Env: map[string]string{"AT_INIT": "stubborn"}})
		mustInvoke(t, f, request{Do: "echo"})
		if err := f.Close(t.Context()); err != nil {
			t.Errorf("close: %v", err)
		}
		if f.running() != 0 {
			t.Error("a process is left")
		}
	})
}
