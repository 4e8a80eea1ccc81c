package delivery_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tollgate/pkg/delivery"
	"tollgate/pkg/destination"
	"tollgate/pkg/outbox"
)

type destinationOf = destination.Destination

// jobs keeps the bodies of each request by group.
type jobs struct {
	got map[string][][]string
	err error
}

func (j *jobs) SendJobs(_ context.Context, group string, bodies []string) error {
	j.got[group] = append(j.got[group], bodies)
	return j.err
}

func TestRouter(t *testing.T) {
	set := destination.Set{}
	for n := range 12 {
		name := fmt.Sprintf("d%02d", n)
		set[name] = destinationOf{Name: name, Group: "many", Messages: []string{"receipt"}}
	}
	set["own"] = destinationOf{Name: "own", Group: "own", Messages: []string{"*"}, Events: []string{"invoice.*"}, Livemode: []bool{true}, Accounts: []string{"acct_1"}}
	send := func(m outbox.Message, err error) (map[string][][]string, error) {
		j := &jobs{got: map[string][][]string{}, err: err}
		r, newErr := delivery.NewRouter(set, j, notes{})
		if newErr != nil {
			t.Fatal(newErr)
		}
		return j.got, r.Send(t.Context(), m)
	}
	m := outbox.Message{Key: "OUT#FACT#live#acct_1#in_1#paid#receipt", Name: "receipt"}
	got, err := send(m, nil)
	if err != nil || len(got["many"]) != 2 || len(got["many"][0]) != 10 || len(got["many"][1]) != 2 {
		t.Errorf("got %v, %v", got, err)
	}
	want := [][]string{{`{"v":1,"message":"OUT#FACT#live#acct_1#in_1#paid#receipt","destination":"own"}`}}
	if diff := cmp.Diff(want, got["own"]); diff != "" {
		t.Errorf("own (-want +got):\n%s", diff)
	}
	for _, c := range []struct {
		key, name string
		groups    int
	}{
		{"OUT#FACT#test#acct_1#in_1#paid#receipt", "receipt", 1},
		{"OUT#FACT#live#-#in_1#paid#receipt", "receipt", 1},
		{"OUT#EVENT#live#acct_1#evt_1#stripe.invoice.paid", "stripe.invoice.paid", 1},
		{"OUT#EVENT#live#acct_1#evt_1#stripe.charge.failed", "stripe.charge.failed", 0},
	} {
		if got, err := send(outbox.Message{Key: c.key, Name: c.name}, nil); err != nil || len(got) != c.groups {
			t.Errorf("%s: groups %v, %v; want %d", c.key, got, err, c.groups)
		}
	}
	for _, key := range []string{"malformed", "OUT#welcome#cus_1", "OUT#FACT#prod#-#in_1#receipt", "OUT#FACT#live##in_1#receipt"} {
		if got, err := send(outbox.Message{Key: key, Name: "receipt"}, nil); err == nil || len(got) > 0 {
			t.Errorf("%s: groups %v, though its mode and account are not known", key, got)
		}
	}
	if _, err := send(m, errBroken); !errors.Is(err, errBroken) || !strings.Contains(err.Error(), "many") {
		t.Errorf("a failed request: %v", err)
	}
	if _, err := delivery.NewRouter(set, nil, notes{}); err == nil {
		t.Error("a router without queues")
	}
}

func FuzzDecodeJob(f *testing.F) {
	f.Add(delivery.Job{Message: "OUT#FACT#live#-#in_1#paid#receipt", Destination: "crm"}.Encode())
	f.Add(`{"v":1,"message":"a","destination":"b","later":1}`)
	f.Add(`{"v":2}`)
	f.Fuzz(func(t *testing.T, body string) {
		job, err := delivery.DecodeJob(body)
		if err != nil {
			return
		}
		if again, err := delivery.DecodeJob(job.Encode()); err != nil || again != job || job.Message == "" || job.Destination == "" {
			t.Errorf("%q is read as %+v, and then as %+v, %v", body, job, again, err)
		}
	})
}

// TestGoldenForms: the job's body and the id are the same in every release. Jobs wait in queues
// during a deploy, and receivers keep ids.
func TestGoldenForms(t *testing.T) {
	golden, err := os.ReadFile("../../testdata/wire/v1/jobs/job.json")
	if err != nil {
		t.Fatal(err)
	}
	body := strings.TrimSpace(string(golden))
	want := delivery.Job{Message: "OUT#FACT#live#acct_1TollgateWire#in_1#paid#receipt", Destination: "crm"}
	if got, err := delivery.DecodeJob(body); err != nil || got != want || got.Encode() != body {
		t.Errorf("%s is read as %+v, %v, and written as %s", body, got, err, got.Encode())
	}
	if got, want := delivery.ID(want.Message), "msg_t3f23pot7nmb7s3txarzkz4eva"; got != want {
		t.Errorf("id %q, want %q", got, want)
	}
}

// notes forget.
type notes struct{}

func (notes) Note(context.Context, delivery.Job, time.Time) error { return nil }
