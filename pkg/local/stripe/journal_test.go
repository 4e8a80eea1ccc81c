package stripe

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// kept returns the ids that a stand-in opened on the file knows, in order of arrival.
func kept(t *testing.T, o Options) []string {
	t.Helper()
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var got []string
	for _, e := range s.store.arrived {
		got = append(got, e.id)
	}
	return got
}

func write(t *testing.T, path string, bodies ...[]byte) {
	t.Helper()
	s, err := Open(Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	remember(t, s, bodies...)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestEventsSurviveARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.jsonl")
	a, b := body("evt_a", "invoice.paid", "", 2), body("evt_b", "invoice.paid", "", 1)
	write(t, path, a, b, a)
	write(t, path, b, thinBody("evt_t", "", "2026-11-18T00:00:00Z"))
	if got := kept(t, Options{Path: path}); !slices.Equal(got, []string{"evt_a", "evt_b", "evt_t"}) {
		t.Errorf("kept %v", got)
	}
	_, url := open(t, Options{Path: path})
	if _, _, got := do(t, "GET", url+"/v1/events/evt_a", nil); !bytes.Equal(got, a) {
		t.Errorf("evt_a is not the same bytes: %s", got)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v (%v)", info.Mode(), err)
	}
}

func TestHalfWrittenLastLineIsDropped(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.jsonl")
	// Longer than what follows it, so that a remainder would show.
	long := body("evt_b", "invoice.payment_failed"+strings.Repeat("_x", 100), "", 2)
	write(t, path, body("evt_a", "invoice.paid", "", 1), long)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	first := bytes.IndexByte(whole, '\n') + 1
	for cut := first; cut < len(whole); cut++ {
		if err := os.WriteFile(path, whole[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		write(t, path, body("evt_c", "invoice.paid", "", 3))
		if raw, err := os.ReadFile(path); err != nil || !bytes.HasSuffix(raw, []byte("\n")) {
			t.Fatalf("cut at %d of %d: a remainder is left in the file (%v)", cut, len(whole), err)
		}
		if got := kept(t, Options{Path: path}); !slices.Equal(got, []string{"evt_a", "evt_c"}) {
			t.Fatalf("cut at %d of %d: kept %v", cut, len(whole), got)
		}
	}
}

// fullDisk writes half of what it is given, and says that there was no space for more.
type fullDisk struct{ *os.File }

func (f fullDisk) Write(b []byte) (int, error) {
	n, err := f.File.Write(b[:len(b)/2])
	return n, errors.Join(syscall.ENOSPC, err)
}

func (f fullDisk) WriteAt(b []byte, at int64) (int, error) {
	n, err := f.File.WriteAt(b[:len(b)/2], at)
	return n, errors.Join(syscall.ENOSPC, err)
}

// TestFullDiskLeavesNoBrokenLine: a line that could not be written whole must neither
// join the next one nor keep the file from being opened again.
func TestFullDiskLeavesNoBrokenLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.jsonl")
	s, err := Open(Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	remember(t, s, body("evt_a", "invoice.paid", "", 1))
	file := s.journal.file.(*os.File)
	s.journal.file = fullDisk{file}
	long := body("evt_b", "invoice.payment_failed"+strings.Repeat("_x", 500), "", 2)
	if err := s.Remember(long); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("error %v, want that there is no space", err)
	}
	s.journal.file = file
	remember(t, s, body("evt_c", "invoice.paid", "", 3))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if got := kept(t, Options{Path: path}); !slices.Equal(got, []string{"evt_a", "evt_c"}) {
		t.Errorf("kept %v, want what could be written", got)
	}
}

func TestFileThatCannotBeReplacedLeavesNoOther(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.jsonl")
	s, err := Open(Options{Path: path, MaxEvents: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := errors.Join(os.Remove(path), os.Mkdir(path, 0o700)); err != nil {
		t.Fatal(err)
	}
	for i := 0; err == nil && i < 100; i++ {
		err = s.Remember(body(fmt.Sprintf("evt_%d", i), "invoice.paid", "", int64(i)))
	}
	if err == nil {
		t.Fatal("a folder was replaced by a file")
	}
	if _, err := os.Stat(path + ".new"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v: the new file was left behind", err)
	}
}

func TestBrokenFileIsRefused(t *testing.T) {
	good := `{"body":"e30="}` + "\n"
	for name, tt := range map[string]struct{ content, want string }{
		"broken line":   {"{\n" + good, "line 1"},
		"no event":      {good, "not a Stripe event"},
		"endless line":  {strings.Repeat("x", maxLine+1<<16) + "\n", "longer than"},
		"another thing": {"bbolt\x00\x01\n", "line 1"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "events.jsonl")
			if err := os.WriteFile(path, []byte(tt.content), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := Open(Options{Path: path})
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error is %v, want one line with the path and %q", err, tt.want)
			}
		})
	}
	if _, err := Open(Options{Path: t.TempDir()}); err == nil {
		t.Error("a folder was opened as a file")
	}
}

func TestFileStaysBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.jsonl")
	o := Options{Path: path, MaxEvents: 10}
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 500 {
		remember(t, s, body(fmt.Sprintf("evt_%03d", i), "invoice.paid", "", int64(i)))
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if lines := bytes.Count(raw, []byte("\n")); lines > 2*10+16 {
			t.Fatalf("%d lines after %d events", lines, i+1)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if got := kept(t, o); len(got) != 10 || got[0] != "evt_490" || got[9] != "evt_499" {
		t.Errorf("kept %v", got)
	}
}
