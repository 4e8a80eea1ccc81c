package dynamodb

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"go.etcd.io/bbolt"

	"tollgate/pkg/local/aws/awsjson"
	"tollgate/pkg/local/aws/awsjson/awsjsontest"
	"tollgate/pkg/local/aws/dynamodb/value"
)

func TestCallsAfterClose(t *testing.T) {
	t.Parallel()
	db, err := Open(filepath.Join(t.TempDir(), "file"), Options{})
	check(t, err)
	check(t, errors.Join(db.Close(), db.Close()))
	for op, body := range map[string]string{"GetItem": `{"TableName":"things","Key":{"pk":{"S":"a"}}}`, "PutItem": `{"TableName":"things","Item":{"pk":{"S":"a"}}}`} {
		if _, err := db.Service().Operations[op](context.Background(), []byte(body)); !errors.Is(err, errClosed) {
			t.Errorf("%s: %v", op, err)
		}
	}
}

func TestMalformedRequests(t *testing.T) {
	t.Parallel()
	s := newServer(t, Options{})
	s.table("things", "pk", "")
	for name, tc := range map[string]struct{ op, body, code string }{
		"no JSON":            {"GetItem", `{`, "SerializationException"},
		"another kind":       {"GetItem", `{"TableName":5}`, "SerializationException"},
		"two values":         {"GetItem", `{"TableName":"things","Key":{"pk":{"S":"a"}}} {}`, "SerializationException"},
		"no UTF-8":           {"GetItem", "{\"TableName\":\"\xff\"}", "SerializationException"},
		"value of no type":   {"PutItem", `{"TableName":"things","Item":{"pk":{}}}`, "ValidationException"},
		"value of two":       {"PutItem", `{"TableName":"things","Item":{"pk":{"S":"a","N":"1"}}}`, "ValidationException"},
		"unknown type":       {"PutItem", `{"TableName":"things","Item":{"pk":{"X":"a"}}}`, "ValidationException"},
		"N that is not text": {"PutItem", `{"TableName":"things","Item":{"pk":{"N":1}}}`, "SerializationException"},
		"B of no base64":     {"PutItem", `{"TableName":"things","Item":{"pk":{"B":"*"}}}`, "SerializationException"},
		"no item":            {"PutItem", `{"TableName":"things"}`, "ValidationException"},
		"no key":             {"GetItem", `{"TableName":"things"}`, "ValidationException"},
		"no table":           {"GetItem", `{}`, "ValidationException"},
		"very deep":          {"PutItem", `{"TableName":"things","Item":` + strings.Repeat(`{"a":{"M":`, 6000) + "{}" + strings.Repeat("}}", 6000) + `}`, "SerializationException"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := s.db.Service().Operations[tc.op](context.Background(), []byte(tc.body))
			if e, ok := errors.AsType[*awsjson.Error](err); !ok || e.Code != tc.code {
				t.Errorf("error %v, want %s", err, tc.code)
			}
		})
	}
}

// A fault in one write undoes the shared transaction; the others are then made
// on their own, and nothing of the faulty one stays.
func TestOneFaultyWriteDoesNotHarmTheOthers(t *testing.T) {
	t.Parallel()
	s := newServer(t, Options{})
	s.table("things", "pk", "")
	fault := errors.New("disk on fire")
	put := func(key string, err error) *job {
		w := write{kind: putWrite, table: "things", item: value.Item{"pk": value.Of(key)}}
		return &job{done: make(chan struct{}), run: func(tx *transaction) (bool, error) {
			_, writeErr := w.run(tx)
			return true, errors.Join(writeErr, err)
		}}
	}
	jobs := []*job{put("a", nil), put("b", fault), put("c", nil)}
	s.db.commit(jobs)
	for i, want := range []error{nil, fault, nil} {
		<-jobs[i].done
		if !errors.Is(jobs[i].err, want) {
			t.Errorf("job %d: %v, want %v", i, jobs[i].err, want)
		}
	}
	s.wantItems(map[string]attrs{"a": {"pk": str("a")}, "b": nil, "c": {"pk": str("c")}})
}

// A refused write leaves no commit behind: the file's transaction number stays.
func TestRefusedWritesDoNotTouchTheDisk(t *testing.T) {
	t.Parallel()
	s := newServer(t, Options{})
	s.table("things", "pk", "")
	id := func() (n int) {
		check(t, s.db.bolt.View(func(tx *bbolt.Tx) error { n = tx.ID(); return nil }))
		return n
	}
	first := id()
	for range 10 {
		_, err := s.UpdateItem(context.Background(), &sdk.UpdateItemInput{TableName: aws.String("things"), Key: attrs{"pk": str("a")}, ConditionExpression: aws.String("attribute_exists(pk)")})
		wantError(t, err, "ConditionalCheckFailedException: The conditional request failed")
	}
	if last := id(); last != first {
		t.Errorf("%d commits by refused writes", last-first)
	}
}

func TestOperationsAreDocumented(t *testing.T) {
	awsjsontest.Documented(t, newServer(t, Options{}).db.Service())
}
