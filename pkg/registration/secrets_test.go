package registration

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestEdits(t *testing.T) {
	first := PutFirst("default", NewSecret("whsec_new"))
	for _, c := range []struct {
		name, before string
		edit         Edit
		want         string // "" for a refusal
	}{
		{"no value yet", "", first, `{"default":["whsec_new"]}`},
		{"white space", " \n", first, `{"default":["whsec_new"]}`},
		{"before the others", `{"default":["whsec_old","whsec_older"]}`, first, `{"default":["whsec_new","whsec_old","whsec_older"]}`},
		{"listed first", `{"default":["whsec_new","whsec_old"]}`, first, `{"default":["whsec_new","whsec_old"]}`},
		{"listed second", `{"default":["whsec_old","whsec_new"]}`, first, `{"default":["whsec_new","whsec_old"]}`},
		{"other endpoints stay", `{"eu":["whsec_eu"],"odd name":7}`, first, `{"default":["whsec_new"],"eu":["whsec_eu"],"odd name":7}`},
		{"odd entries stay", `{"default":[7,null,"whsec_old"]}`, first, `{"default":["whsec_new",7,null,"whsec_old"]}`},
		{"one text for a list", `{"default":"whsec_old\n"}`, first, `{"default":["whsec_new","whsec_old\n"]}`},
		{"listed first, with white space", `{"default":["whsec_old","whsec_new\n"]}`, first, `{"default":["whsec_new","whsec_old"]}`},
		{"not a list", `{"default":{"a":"whsec_old"}}`, first, ""},
		{"a list of endpoints", `["whsec_old"]`, first, ""},
		{"plain text", `whsec_old`, first, ""},
		{"null", `null`, first, ""},
		{"half", `{"default":["whsec_old"]`, first, ""},
		{"too large", `{"eu":["` + strings.Repeat("x", maxStored) + `"]}`, first, ""},
		{"dropped", `{"default":["whsec_new","whsec_old"],"eu":["whsec_old"]}`, Drop("default", []Secret{NewSecret("whsec_old")}), `{"default":["whsec_new"],"eu":["whsec_old"]}`},
		{"never the last", `{"default":["whsec_old"]}`, Drop("default", []Secret{NewSecret("whsec_old")}), `{"default":["whsec_old"]}`},
		{"a newer one stays", `{"default":["whsec_newer","whsec_new","whsec_old"]}`, Drop("default", []Secret{NewSecret("whsec_old")}), `{"default":["whsec_newer","whsec_new"]}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, same, err := edited(Version{Value: NewSecret(c.before)}, c.edit)
			if c.want == "" {
				if err == nil || strings.Contains(err.Error(), "old") {
					t.Errorf("error %v, want one that quotes nothing", err)
				}
				return
			}
			if err != nil || got.Reveal() != c.want || same != (c.before == c.want) {
				t.Errorf("%s, same %v, error %v, want %s", got.Reveal(), same, err, c.want)
			}
		})
	}
}

// TestChangeAmongWriters lets another write between every two calls; no write is lost.
func TestChangeAmongWriters(t *testing.T) {
	const start = `{"default":["whsec_1"]}`
	other := func(w *world, name string) func() {
		done := false
		return func() {
			if done {
				return
			}
			done = true
			value, _, err := edited(w.version(0), PutFirst(name, NewSecret("whsec_other")))
			if err != nil {
				panic(err)
			}
			w.write(value.Reveal())
		}
	}
	for _, c := range []struct {
		name string
		set  func(w *world)
		want string
		puts int
	}{
		{"alone", func(*world) {}, `{"default":["whsec_new","whsec_1"]}`, 1},
		{"a write before ours, of another endpoint", func(w *world) { w.onPut = other(w, "eu") }, `{"default":["whsec_new","whsec_1"],"eu":["whsec_other"]}`, 2},
		{"a write before ours, of the same", func(w *world) { w.onPut = other(w, "default") }, `{"default":["whsec_new","whsec_other","whsec_1"]}`, 2},
		{"a write after ours", func(w *world) { w.afterPut = other(w, "eu") }, `{"default":["whsec_new","whsec_1"],"eu":["whsec_other"]}`, 1},
		{"the answer of the write is lost", func(w *world) { w.faults = map[int]fault{2: after} }, `{"default":["whsec_new","whsec_1"]}`, 1},
		{"the answer is lost, and another writes", func(w *world) {
			w.afterPut, w.faults = other(w, "eu"), map[int]fault{2: after}
		}, `{"default":["whsec_new","whsec_1"],"eu":["whsec_other"]}`, 1},
		{"reads are behind", func(w *world) { w.write(start); w.behind = 3 }, `{"default":["whsec_new","whsec_1"]}`, 4},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld()
				w.write(start)
				c.set(w)
				changed, err := Change(t.Context(), w, PutFirst("default", NewSecret("whsec_new")))
				puts := strings.Count(strings.Join(w.names, " "), "replace")
				if !changed || err != nil || w.stored() != c.want || puts != c.puts {
					t.Errorf("changed %v, error %v, %d writes, stored %s, want %d and %s", changed, err, puts, w.stored(), c.puts, c.want)
				}
			})
		})
	}
}

func TestChangeWritesNothingWhenNothingChanges(t *testing.T) {
	w := newWorld()
	w.write("{ \"default\": [ \"whsec_1\" ] }\n")
	changed, err := Change(t.Context(), w, PutFirst("default", NewSecret("whsec_1")))
	if changed || err != nil || len(w.versions) != 1 {
		t.Errorf("changed %v, error %v, %d versions", changed, err, len(w.versions))
	}
}

func TestChangeEndsAmongEndlessWriters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, began := newWorld(), time.Now()
		w.onPut = func() { w.write(`{"default":["whsec_other"]}`) }
		_, err := Change(t.Context(), w, PutFirst("default", NewSecret("whsec_1")))
		if took := time.Since(began); !errors.Is(err, ErrContended) || took < changeFor || took > changeFor+mostBackOff {
			t.Errorf("error %v after %s, want ErrContended after %s", err, took, changeFor)
		}
	})
}

func TestChangeFails(t *testing.T) {
	for n := 1; n <= 2; n++ {
		w := newWorld()
		w.write(`{}`)
		w.faults = map[int]fault{n: before}
		if _, err := Change(t.Context(), w, PutFirst("default", NewSecret("whsec_1"))); !errors.Is(err, errStep) {
			t.Errorf("call %d (%s) fails: error %v", n, w.names[n-1], err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Change(ctx, newWorld(), PutFirst("default", NewSecret("whsec_1"))); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func FuzzPutFirst(f *testing.F) {
	for _, s := range []string{"", "{}", `{"default":["whsec_1"]}`, `{"default":["whsec_new"],"default":7}`, `{"eu":{"a":[1.50]}}`, `[]`, `null`, `{"default":[{"a":"whsec_new"}]}`, "{\"a\":\"\u2028<\"}"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, before string) {
		edit := PutFirst("default", NewSecret("whsec_new"))
		once, _, err := edited(Version{Value: NewSecret(before)}, edit)
		if err != nil {
			return
		}
		again, same, err := edited(Version{Value: once}, edit)
		if err != nil || !same || again.Reveal() != once.Reveal() {
			t.Fatalf("%q gives %q, then %q (same %v, %v)", before, once.Reveal(), again.Reveal(), same, err)
		}
		s, err := ReadStored(once)
		if err != nil {
			t.Fatal(err)
		}
		if list, err := s.Of("default"); err != nil || len(list) == 0 || list[0].Reveal() != "whsec_new" {
			t.Fatalf("%q gives %q", before, once.Reveal())
		}
		var old, now map[string]any
		if strings.TrimSpace(before) == "" {
			before = "{}"
		}
		if json.Unmarshal([]byte(before), &old) != nil || json.Unmarshal([]byte(once.Reveal()), &now) != nil {
			t.Fatalf("%q gives %q", before, once.Reveal())
		}
		delete(old, "default")
		delete(now, "default")
		if d := cmp.Diff(old, now); d != "" {
			t.Fatalf("other endpoints of %q changed (-before +after):\n%s", before, d)
		}
	})
}
