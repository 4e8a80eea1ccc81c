package stripe

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"go.etcd.io/bbolt"

	"tollgate/pkg/local/aws/boltfile"
	"tollgate/pkg/local/aws/boltfile/boltfiletest"
)

// arrived gives all events, in order of arrival.
func arrived(t fatal, s *Fake) (all []*event) {
	err := s.store.view(func(x *tx) error {
		return x.Bucket(bucketEvents).ForEach(func(n, _ []byte) error {
			e, err := x.numbered(binary.BigEndian.Uint64(n))
			all = append(all, e)
			return err
		})
	})
	check(t, err)
	return all
}

func kept(t *testing.T, s *Fake) (ids []string) {
	t.Helper()
	for _, e := range arrived(t, s) {
		ids = append(ids, e.ID)
	}
	return ids
}

func stored(t *testing.T, s *Fake, id string) *event {
	t.Helper()
	e, err := s.store.event(id)
	check(t, err)
	return e
}

func counted(t *testing.T, s *Fake) (c counts) {
	t.Helper()
	check(t, s.store.view(func(x *tx) error { return x.load(keyCounts, &c) }))
	return c
}

// write gives events to a fake Stripe that is closed again.
func write(t *testing.T, path string, bodies ...[]byte) {
	t.Helper()
	s, err := Open(Options{Path: path})
	check(t, err)
	remember(t, s, bodies...)
	check(t, s.Close())
}

func TestEventsSurviveARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "stripe.db")
	a, b := body("evt_a", "invoice.paid", "", 2), body("evt_b", "invoice.paid", "", 1)
	write(t, path, a, b, a)
	write(t, path, b, thinBody("evt_t", "", "2026-11-18T00:00:00Z"))
	s, url := open(t, Options{Path: path})
	if got := kept(t, s); !slices.Equal(got, []string{"evt_a", "evt_b", "evt_t"}) {
		t.Errorf("kept %v", got)
	}
	if _, _, got := do(t, "GET", url+"/v1/events/evt_a", nil); !bytes.Equal(got, a) {
		t.Errorf("evt_a is not the same bytes: %s", got)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v (%v)", info.Mode(), err)
	}
}

// TestFullDisk: what could not be written is refused whole, and once there is room again
// the next event is taken.
func TestFullDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "stripe.db")
	s, url := open(t, Options{Path: path})
	remember(t, s, body("evt_a", "invoice.paid", "", 1))
	room := boltfiletest.FillDisk(t, path)
	if err := s.Remember(says("evt_b", "coupon.created", 2, `{"id":"x","object":"coupon","mark":"m"}`)); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("error %v, want an error of no space", err)
	}
	if got := kept(t, s); !slices.Equal(got, []string{"evt_a"}) || mark(t, url, "/v1/coupons/x") != "" {
		t.Errorf("kept %v, want the first alone", got)
	}
	room()
	remember(t, s, body("evt_c", "invoice.paid", "", 3))
	check(t, s.Close())
	again, _ := open(t, Options{Path: path})
	if got := kept(t, again); !slices.Equal(got, []string{"evt_a", "evt_c"}) {
		t.Errorf("kept %v, want what could be written", got)
	}
}

func TestBrokenFileIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "stripe.db")
	for name, content := range map[string]string{"empty": "", "text": strings.Repeat("no database ", 2000)} {
		check(t, os.WriteFile(path, []byte(content), 0o600))
		_, err := Open(Options{Path: path})
		if err == nil || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: error is %v, want one line with the path", name, err)
		}
	}
	other := filepath.Join(t.TempDir(), "other.db")
	db, err := boltfile.Open(other, func(tx *bbolt.Tx) error { _, err := tx.CreateBucket([]byte("b")); return err })
	check(t, errors.Join(err, db.Close()))
	if _, err := Open(Options{Path: other}); err == nil || !strings.Contains(err.Error(), "another program") {
		t.Errorf("error %v of another program's file", err)
	}
	if _, err := Open(Options{Path: t.TempDir()}); err == nil {
		t.Error("a folder was opened as a file")
	}
}

// TestChangesShareAWrite: changes that come during another share a write; one alone after one
// alone does not wait for others.
func TestChangesShareAWrite(t *testing.T) {
	t.Parallel()
	f, _ := open(t, Options{})
	s, writes := f.store, map[int]bool{}
	noted := func(x *tx) error {
		writes[x.ID()] = true
		return nil
	}
	const others = 8
	var all sync.WaitGroup
	check(t, s.share(func(x *tx) error {
		for range others {
			all.Go(func() {
				if err := s.share(noted); err != nil {
					t.Error(err)
				}
			})
		}
		for s.sharing.Load() <= others {
			runtime.Gosched()
		}
		return nil
	}))
	all.Wait()
	if len(writes) == others {
		t.Error("each change took a write of its own")
	}
	if !s.crowded.Load() {
		t.Error("the next change does not wait for others")
	}
	check(t, s.share(noted))
	if s.crowded.Load() {
		t.Error("the next change waits for others after one that was alone")
	}
}

func TestTemporaryFileIsRemoved(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	s, _ := open(t, Options{})
	remember(t, s, body("evt_a", "invoice.paid", "", 1))
	if left, err := os.ReadDir(os.TempDir()); len(left) != 0 || err != nil {
		t.Errorf("%v is there, %v", left, err)
	}
}

// TestStaysBounded: by number and by bytes, in the file and in its index.
func TestStaysBounded(t *testing.T) {
	big := func(id string, n int) []byte {
		noise := make([]byte, 1500)
		rand.Read(noise)
		// The first to come are the newest by their time.
		return says(id, "coupon.created", int64(1000-n), fmt.Sprintf(`{"id":"c%d","object":"coupon","text":"%x"}`, n, noise))
	}
	for name, o := range map[string]Options{"number": {MaxEvents: 10}, "bytes": {MaxBytes: 33_000}} {
		t.Run(name, func(t *testing.T) {
			s, url := open(t, o)
			for i := range 300 {
				remember(t, s, big(fmt.Sprintf("evt_%03d", i), i))
			}
			got, c := kept(t, s), counted(t, s)
			if n := len(got); n < 8 || n > 12 || o.MaxEvents > 0 && n != 10 || got[n-1] != "evt_299" || got[0] != fmt.Sprint("evt_", 300-n) {
				t.Errorf("kept %v", got)
			}
			if status, _, _ := do(t, "GET", url+"/v1/events/evt_000", nil); status != 404 {
				t.Errorf("the first event: %d", status)
			}
			if o.MaxBytes > 0 && (c.EventBytes > o.MaxBytes || c.StateBytes > o.MaxBytes) {
				t.Errorf("counts %+v", c)
			}
			s.store.view(func(x *tx) error {
				for b, want := range map[string]int64{"events": c.Events, "ids": c.Events, "times": c.Events, "states": c.States, "keys": c.States} {
					if n := x.Bucket([]byte(b)).Stats().KeyN; n != int(want) {
						t.Errorf("%d entries in %s, want %d", n, b, want)
					}
				}
				return nil
			})
			if listed, _ := ids(t, get(t, url+"/v1/events?limit=100")); len(listed) != len(got) {
				t.Errorf("lists %v", listed)
			}
		})
	}
}

func get(t *testing.T, url string) []byte {
	t.Helper()
	status, _, raw := do(t, "GET", url, nil)
	if status != 200 {
		t.Fatalf("%s is answered %d: %s", url, status, raw)
	}
	return raw
}

// TestMemoryIsFlat: events and objects live in the file, so the heap does not grow with
// their number.
func TestMemoryIsFlat(t *testing.T) {
	s, _ := open(t, Options{})
	heap := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	give := func(from, to int) {
		for i := from; i < to; i++ {
			remember(t, s, says(fmt.Sprint("evt_", i), "coupon.created", int64(i), fmt.Sprintf(`{"id":"c%d","object":"coupon","text":%q}`, i, strings.Repeat("x", 2000))))
		}
	}
	give(0, 500)
	before := heap()
	give(500, 5500)
	if grown := heap() - before; grown > 2<<20 {
		t.Errorf("the heap grew by %d bytes with 5000 events of 2 kB", grown)
	}
}
