package dynamostore

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/google/go-cmp/cmp"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/drift"
)

// TestKeptReadsRowsOnly: the keys of rows and entitlements, from any key on, also one that is not
// there; an unreadable time is none.
func TestKeptReadsRowsOnly(t *testing.T) {
	f := serveEmbedded(t).fixture(t, http.DefaultTransport)
	ctx := t.Context()
	for n := range 5 {
		for _, prefix := range []string{"OBJ#", "ENT#", "FACT#", "OUT#"} {
			_, err := f.Store.putItem(ctx, "put", item{"pk": str(fmt.Sprintf("%stest#-#%d", prefix, n)), dispatch.FetchedAt: num(int64(n) * 1000)}, "", nil)
			check(t, err)
		}
	}
	_, err := f.Store.putItem(ctx, "put", item{"pk": str("OBJ#test#-#odd"), dispatch.FetchedAt: str("soon")}, "", nil)
	check(t, err)
	page, next, err := f.reader.Kept(ctx, "")
	if err != nil || next != "" || len(page) != 11 {
		t.Fatalf("%d keys, next %q, %v", len(page), next, err)
	}
	for i, k := range page {
		if !strings.HasPrefix(k.Key, "OBJ#") && !strings.HasPrefix(k.Key, "ENT#") || k.Key == "OBJ#test#-#odd" && k.FetchedAt.Unix() > 0 {
			t.Errorf("key %+v", k)
		}
		rest, _, err := f.reader.Kept(ctx, k.Key)
		if err != nil || len(rest) != len(page)-i-1 {
			t.Errorf("after %s: %d keys, want %d, %v", k.Key, len(rest), len(page)-i-1, err)
		}
	}
}

// TestMend: all items under the versions that were read, or none; all get one version.
func TestMend(t *testing.T) {
	f := serveEmbedded(t).fixture(t, http.DefaultTransport)
	ctx := t.Context()
	for key, ver := range map[string]int64{"OBJ#1": 5, "ENT#odd": 9} {
		_, err := f.Store.putItem(ctx, "put", item{"pk": str(key), "ver": num(ver), "a": num(1)}, "", nil)
		check(t, err)
	}
	swap := func(key string, ver int64) dispatch.Effect {
		return dispatch.Swap(key, ver, dispatch.Fields{"a": int64(2)})
	}
	for _, c := range []struct {
		name  string
		swaps dispatch.Effects
		next  int64
		done  bool
	}{
		{"an older version of the row", dispatch.Effects{swap("OBJ#1", 4)}, 5, false},
		{"an item that should be missing", dispatch.Effects{swap("OBJ#1", 5), swap("ENT#odd", 0)}, 6, false},
		{"an item that is missing", dispatch.Effects{swap("OBJ#1", 5), swap("ENT#none", 3)}, 6, false},
		{"both as they were read", dispatch.Effects{swap("OBJ#1", 5), swap("ENT#odd", 9), swap("ENT#new", 0)}, 6, true},
		{"the same again", dispatch.Effects{swap("OBJ#1", 5), swap("ENT#odd", 9)}, 6, false},
	} {
		before, err := f.raw.Scan(ctx, &dynamodb.ScanInput{TableName: &f.table})
		check(t, err)
		done, err := f.operator.Mend(ctx, c.swaps, c.next)
		if err != nil || done != c.done {
			t.Errorf("%s: %v, %v", c.name, done, err)
		}
		after, err := f.raw.Scan(ctx, &dynamodb.ScanInput{TableName: &f.table})
		check(t, err)
		if !c.done && len(before.Items) != len(after.Items) {
			t.Errorf("%s: it wrote an item", c.name)
		}
	}
	for _, key := range []string{"OBJ#1", "ENT#odd", "ENT#new"} {
		it, _, err := f.reader.Item(ctx, key)
		if err != nil || it["ver"] != int64(6) || it["a"] != int64(2) {
			t.Errorf("%s is %v, %v", key, it, err)
		}
	}
	if _, err := f.operator.Mend(ctx, dispatch.Effects{dispatch.Swap("EVT#1", 0, nil)}, 1); err == nil {
		t.Error("it writes a record")
	}
}

// TestPosition: it is read as it was saved, by whoever read the last version; one of another
// release is an error, and is not overwritten.
func TestPosition(t *testing.T) {
	f := serveEmbedded(t).fixture(t, http.DefaultTransport)
	ctx := t.Context()
	at := time.UnixMilli(1_700_000_000_123).UTC()
	if p, err := f.reader.Position(ctx); err != nil || p.Ver != 0 {
		t.Fatalf("%+v, %v", p, err)
	}
	want := drift.Position{
		Began: at, Recent: drift.Pass{Started: at, After: "OBJ#1", Checked: 4, Drifted: 3, Failed: 2, Skipped: 1},
		Older: drift.Pass{Tried: at, Verified: at.Add(time.Hour)},
	}
	for n := range 3 {
		if saved, err := f.Store.SavePosition(ctx, want); err != nil || !saved {
			t.Fatalf("save %d: %v, %v", n, saved, err)
		}
		if saved, err := f.Store.SavePosition(ctx, want); err != nil || saved {
			t.Fatalf("the same version again: %v, %v", saved, err)
		}
		want.Ver++
		if got, err := f.reader.Position(ctx); err != nil || !cmp.Equal(want, got) {
			t.Fatalf("%s %v", cmp.Diff(want, got), err)
		}
	}
	for name, attributes := range map[string]item{
		"a newer format": {"format": num(2), "ver": num(3), "began_at": num(1)}, "no version": {"format": num(1), "began_at": num(1)},
		"another type": {"format": num(1), "ver": num(3), "began_at": num(1), "recent": str("x")},
	} {
		attributes["pk"] = str(positionKey)
		_, err := f.Store.putItem(ctx, "put", attributes, "", nil)
		check(t, err)
		if _, err := f.reader.Position(ctx); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
