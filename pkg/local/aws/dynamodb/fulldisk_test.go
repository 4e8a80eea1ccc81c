package dynamodb

import (
	"strings"
	"sync"
	"testing"

	sdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"tollgate/pkg/local/aws/boltfile/boltfiletest"
)

// TestFullDiskEnds: what was refused has not happened, reads go on, and once there is
// room writes work again without a restart.
func TestFullDiskEnds(t *testing.T) {
	s := newServer(t, Options{})
	table := "events"
	s.table(table, "pk", "")
	put := func(key string) error {
		_, err := s.PutItem(t.Context(), &sdk.PutItemInput{TableName: &table, Item: attrs{"pk": str(key)}})
		return err
	}
	check(t, put("before"))
	room := boltfiletest.FillDisk(t, s.path)
	var refused sync.WaitGroup
	for range 3 {
		refused.Go(func() { // together, so that they share a commit
			if err := put("refused"); !strings.HasPrefix(explain(err), "InternalServerError: ") {
				t.Errorf("put to a full disk: %v", err)
			}
		})
	}
	refused.Wait()
	count := func() int32 {
		t.Helper()
		out, err := s.Scan(t.Context(), &sdk.ScanInput{TableName: &table})
		check(t, err)
		return out.Count
	}
	if n := count(); n != 1 {
		t.Errorf("%d items on a full disk, want 1", n)
	}
	room()
	if err := put("after"); err != nil {
		t.Errorf("put with room again: %v", err)
	}
	s.close()
	s.open()
	if n := count(); n != 2 {
		t.Errorf("%d items after a restart, want those that were accepted", n)
	}
}
