package dynamostore

import (
	"encoding/json"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"tollgate/pkg/delivery"
)

// deliveryFolder is that of the newest form of a delivery's or a destination's row, where -update
// writes.
const deliveryFolder = "v2"

// wireRow is one state of a row, and the writes that lead to it.
type wireRow struct {
	name  string
	key   string
	write func(t *testing.T, d *Deliveries)
	want  any // delivery.Row or delivery.State
}

func wireJob() delivery.Job {
	return delivery.Job{Message: "OUT#FACT#live#acct_1TollgateWire#in_1#paid#receipt", Destination: "crm"}
}

// beginWire begins an attempt at a time after the first.
func beginWire(t *testing.T, d *Deliveries, after time.Duration) delivery.Started {
	t.Helper()
	now := wireTime(after)
	begun, err := d.Begin(t.Context(), delivery.BeginRequest{
		Job: wireJob(), Object: "live#acct_1TollgateWire#in_1", First: true, Owner: strings.Repeat("a", 32), Now: now, Lease: now.Add(25 * time.Second), Cutoff: now.Add(-5 * time.Second),
	})
	if err != nil || begun.Started == nil {
		t.Fatalf("begin: %+v, %v", begun, err)
	}
	return *begun.Started
}

func endWire(t *testing.T, d *Deliveries, s delivery.Started, r delivery.Result) {
	t.Helper()
	if recorded, err := d.End(t.Context(), s, r); err != nil || !recorded {
		t.Fatalf("end: %v, %v", recorded, err)
	}
}

func wireRows() []wireRow {
	failed := delivery.Attempt{At: wireTime(0), Took: 1234 * time.Millisecond, Status: 503, Err: "status 503"}
	lost := delivery.Attempt{At: wireTime(time.Minute), Took: 20 * time.Second, Err: "timeout"}
	done := delivery.Attempt{At: wireTime(time.Minute), Took: 87 * time.Millisecond, Status: 204}
	row := func(s delivery.Status, att int, history ...delivery.Attempt) delivery.Row {
		return delivery.Row{Status: s, Attempt: att, Owner: strings.Repeat("a", 32), First: wireTime(0), Sequence: 1, History: history}
	}
	running, waiting := row(delivery.Running, 1), row(delivery.Waiting, 1, failed)
	running.Lease, waiting.Next = wireTime(25*time.Second), wireTime(30*time.Second)
	second := func(status delivery.Status, a delivery.Attempt) func(*testing.T, *Deliveries) {
		return func(t *testing.T, d *Deliveries) {
			endWire(t, d, beginWire(t, d, 0), delivery.Result{Attempt: failed, Status: delivery.Waiting, Next: wireTime(30 * time.Second)})
			endWire(t, d, beginWire(t, d, time.Minute), delivery.Result{Attempt: a, Status: status})
		}
	}
	state := delivery.State{
		Since: wireTime(0), Seen: wireTime(time.Hour), Open: wireTime(2 * time.Hour), Off: wireTime(3 * time.Hour), Why: "status 410: gone", By: strings.Repeat("b", 32),
	}
	stored := state
	stored.Ver = 1
	swap := func(t *testing.T, d *Deliveries, s delivery.State) {
		if won, err := d.SwapState(t.Context(), "crm", s); err != nil || !won {
			t.Fatalf("swap: %v, %v", won, err)
		}
	}
	paused := delivery.State{Paused: wireTime(0), PausedBy: "ann", By: strings.Repeat("b", 32)}
	storedPaused := paused
	storedPaused.Ver = 1
	key, of := deliveryKey(wireJob()), stateKey("crm")
	return []wireRow{
		{"running", key, func(t *testing.T, d *Deliveries) { beginWire(t, d, 0) }, running},
		{"waiting", key, func(t *testing.T, d *Deliveries) {
			endWire(t, d, beginWire(t, d, 0), delivery.Result{Attempt: failed, Status: delivery.Waiting, Next: wireTime(30 * time.Second)})
		}, waiting},
		{"delivered", key, second(delivery.Delivered, done), row(delivery.Delivered, 2, failed, done)},
		{"failed", key, second(delivery.Failed, lost), row(delivery.Failed, 2, failed, lost)},
		{"disabled", key, second(delivery.Disabled, lost), row(delivery.Disabled, 2, failed, lost)},
		{"destination", of, func(t *testing.T, d *Deliveries) { swap(t, d, state) }, stored},
		{"destination-recovered", of, func(t *testing.T, d *Deliveries) {
			swap(t, d, state)
			swap(t, d, delivery.State{Ver: 1, By: strings.Repeat("c", 32)})
		}, delivery.State{Ver: 2, By: strings.Repeat("c", 32)}},
		{"destination-paused", of, func(t *testing.T, d *Deliveries) { swap(t, d, paused) }, storedPaused},
		{"noted", key, func(t *testing.T, d *Deliveries) {
			check(t, (&Store{writer: d.writer}).Note(t.Context(), wireJob(), wireTime(0)))
		},
			delivery.Row{Status: delivery.Waiting, Next: wireTime(0)}},
	}
}

// TestReadsEveryGoldenDelivery: what any release wrote is read by this one.
func TestReadsEveryGoldenDelivery(t *testing.T) {
	want := map[string]any{}
	for _, w := range wireRows() {
		want[w.name] = w.want
	}
	readsGolden(t, "deliveries", want, func(path string, it item) any {
		var got any
		var err error
		if got, err = deliveryRow(it); strings.HasPrefix(filepath.Base(path), "destination") {
			got, err = stateOf(it)
		}
		check(t, err)
		return got
	})
}

// TestWritesTheGoldenDeliveries: this release leaves each row as a golden one, byte for byte.
func TestWritesTheGoldenDeliveries(t *testing.T) {
	s := serveEmbedded(t)
	for _, c := range wireRows() {
		t.Run(c.name, func(t *testing.T) {
			client, table := s.client(http.DefaultTransport, false), s.table(t)
			d := newDeliveries(t, client, table)
			c.write(t, d)
			got, err := client.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: &table, Key: keyOf(c.key)})
			check(t, err)
			isGolden(t, "deliveries", deliveryFolder, c.name, got.Item)
		})
	}
}

// attributeJSON returns a value in the JSON of DynamoDB's API.
func attributeJSON(v types.AttributeValue) any {
	switch v := v.(type) {
	case *types.AttributeValueMemberN:
		return map[string]any{"N": v.Value}
	case *types.AttributeValueMemberBOOL:
		return map[string]any{"BOOL": v.Value}
	case *types.AttributeValueMemberL:
		list := []any{}
		for _, e := range v.Value {
			list = append(list, attributeJSON(e))
		}
		return map[string]any{"L": list}
	case *types.AttributeValueMemberM:
		m := map[string]any{}
		for name, e := range v.Value {
			m[name] = attributeJSON(e)
		}
		return map[string]any{"M": m}
	default:
		return map[string]any{"S": v.(*types.AttributeValueMemberS).Value}
	}
}

// attributeOf is the inverse of attributeJSON.
func attributeOf(t *testing.T, raw json.RawMessage) types.AttributeValue {
	t.Helper()
	var v struct {
		S, N *string
		BOOL *bool
		L    []json.RawMessage
		M    map[string]json.RawMessage
	}
	check(t, json.Unmarshal(raw, &v))
	switch {
	case v.S != nil:
		return str(*v.S)
	case v.N != nil:
		return &types.AttributeValueMemberN{Value: *v.N}
	case v.BOOL != nil:
		return &types.AttributeValueMemberBOOL{Value: *v.BOOL}
	case v.M != nil:
		m := item{}
		for name, e := range v.M {
			m[name] = attributeOf(t, e)
		}
		return &types.AttributeValueMemberM{Value: m}
	}
	list := &types.AttributeValueMemberL{}
	for _, e := range v.L {
		list.Value = append(list.Value, attributeOf(t, e))
	}
	return list
}
