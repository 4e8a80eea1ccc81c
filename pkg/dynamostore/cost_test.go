package dynamostore

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/go-cmp/cmp"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/idempotency"
	"tollgate/pkg/limits"
)

// sizeOf returns an item's size by the database's rule: names and values in UTF-8,
// numbers one byte for two digits and one more, lists three bytes and one an element.
func sizeOf(attributes item) int {
	n := 0
	for name, v := range attributes {
		n += len(name) + sizeOfValue(v)
	}
	return n
}

func sizeOfValue(v types.AttributeValue) int {
	switch v := v.(type) {
	case *types.AttributeValueMemberS:
		return len(v.Value)
	case *types.AttributeValueMemberN:
		return (len(v.Value)+1)/2 + 1
	case *types.AttributeValueMemberL:
		n := 3
		for _, e := range v.Value {
			n += 1 + sizeOfValue(e)
		}
		return n
	default:
		panic("a record has no such type")
	}
}

// A write costs one unit for each KB, so every record of a usual event must stay under
// one, in each state of its life.
func TestRecordStaysUnderOneKB(t *testing.T) {
	f := serveEmbedded(t).fixture(t, http.DefaultTransport)
	req := claimRequest()
	req.Event.Type = "customer.subscription.pending_update_expired"
	claim := func() *idempotency.Claim {
		got, err := f.Claim(t.Context(), req)
		if err != nil || got.Claim == nil {
			t.Fatalf("claim = %+v, %v", got, err)
		}
		return got.Claim
	}
	measure := func(state string, most int) {
		attributes, err := f.reader.get(t.Context(), idempotency.Key(req.Event.ID))
		check(t, err)
		if n := sizeOf(attributes); n > most {
			t.Errorf("%s: %d bytes, want at most %d", state, n, most)
		} else {
			t.Logf("%s: %d bytes", state, n)
		}
	}
	c := claim()
	measure("running", 350)
	check(t, errOf(f.Fail(t.Context(), c, idempotency.Failure{Now: now, Err: strings.Repeat("e", 300), ReceivesLeft: 14})))
	measure("failed with 300 bytes of error", 700)
	req.Owner, req.Receives = idempotency.NewOwner(), 2
	c = claim()
	measure("running again", 800)
	effects := dispatch.Effects{
		dispatch.Insert("FACT#live#acct_1PZabcdefghijklm#pi_1PZabcdefghijklmnopqrst#succeeded", nil),
		dispatch.Insert("OUT#FACT#live#acct_1PZabcdefghijklm#pi_1PZabcdefghijklmnopqrst#succeeded#receipt", nil),
	}
	check(t, errOf(f.Complete(t.Context(), c, idempotency.Applied, effects, now)))
	measure("done after a failure, with two effects", 960)
}

// metered is a client that asks what each write costs.
type metered struct {
	Client
	units   float64
	answers int
}

func (m *metered) UpdateItem(ctx context.Context, in *dynamodb.UpdateItemInput, o ...func(*dynamodb.Options)) (*dynamodb.UpdateItemOutput, error) {
	in.ReturnConsumedCapacity = types.ReturnConsumedCapacityTotal
	out, err := m.Client.UpdateItem(ctx, in, o...)
	if err == nil && out.ConsumedCapacity != nil {
		m.add(*out.ConsumedCapacity)
	}
	return out, err
}

func (m *metered) PutItem(ctx context.Context, in *dynamodb.PutItemInput, o ...func(*dynamodb.Options)) (*dynamodb.PutItemOutput, error) {
	in.ReturnConsumedCapacity = types.ReturnConsumedCapacityTotal
	out, err := m.Client.PutItem(ctx, in, o...)
	if err == nil && out.ConsumedCapacity != nil {
		m.add(*out.ConsumedCapacity)
	}
	return out, err
}

func (m *metered) TransactWriteItems(ctx context.Context, in *dynamodb.TransactWriteItemsInput, o ...func(*dynamodb.Options)) (*dynamodb.TransactWriteItemsOutput, error) {
	in.ReturnConsumedCapacity = types.ReturnConsumedCapacityTotal
	out, err := m.Client.TransactWriteItems(ctx, in, o...)
	if err == nil {
		for _, c := range out.ConsumedCapacity {
			m.add(c)
		}
	}
	return out, err
}

func (m *metered) add(c types.ConsumedCapacity) {
	m.answers++
	if c.CapacityUnits != nil {
		m.units += *c.CapacityUnits
	}
}

// One request to claim, if it is claimed, and one to complete, each of items under 1 KB.
func TestHappyEventCost(t *testing.T) {
	two := dispatch.Effects{dispatch.Insert("K1", nil), dispatch.Insert("K2", nil)}
	for name, tc := range map[string]struct {
		claims   bool
		effects  dispatch.Effects
		requests []string
		units    float64
	}{
		"no effects":             {true, nil, []string{"UpdateItem", "UpdateItem"}, 2},
		"two effects":            {true, two, []string{"UpdateItem", "TransactWriteItems"}, 1 + 2*3},
		"no effects, at once":    {false, nil, []string{"PutItem"}, 1},
		"two effects, at once":   {false, two, []string{"TransactWriteItems"}, 2 * 3},
		"a check alone, at once": {false, dispatch.Effects{dispatch.CheckAbsent("K1", errNeed)}, []string{"TransactWriteItems"}, 2 * 2},
	} {
		t.Run(name, func(t *testing.T) {
			s := serveEmbedded(t)
			table, w := s.table(t), newWire(t, http.DefaultTransport)
			m := &metered{Client: s.client(w, false)}
			store := newStore(t, m, table)
			claim := idempotency.WithoutClaim(claimRequest())
			if tc.claims {
				got, err := store.Claim(t.Context(), claimRequest())
				check(t, err)
				claim = got.Claim
			}
			check(t, errOf(store.Complete(t.Context(), claim, idempotency.Applied, tc.effects, now)))
			var requests []string
			for _, r := range w.requests() {
				requests = append(requests, r.target)
			}
			if diff := cmp.Diff(tc.requests, requests); diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
			if m.answers == 0 || m.units != tc.units {
				t.Errorf("%v write units, want %v", m.units, tc.units)
			}
		})
	}
}

// The record lives on for limits.RecordTTL after it is done, and its times are what they say.
func TestRecordAttributes(t *testing.T) {
	f := serveEmbedded(t).fixture(t, http.DefaultTransport)
	req := claimRequest()
	req.Receives = 2
	got, err := f.Claim(t.Context(), req)
	check(t, err)
	read := func() map[string]any {
		attributes, _, err := f.reader.Item(t.Context(), idempotency.Key(req.Event.ID))
		check(t, err)
		return attributes
	}
	running := read()
	for name, want := range map[string]any{
		"lease": now.UnixMilli() + 32_000, "upd": now.UnixMilli(), "first_at": now.UnixMilli(), "created": int64(1_700_000_000),
		"open": idempotency.Shard(req.Event.ID), "rc_left": int64(15), "exp": nil, "outcome": nil, "fx": nil,
	} {
		if running[name] != want {
			t.Errorf("running: %s = %v, want %v", name, running[name], want)
		}
	}
	check(t, errOf(f.Complete(t.Context(), got.Claim, idempotency.Applied, nil, now)))
	done := read()
	for name, want := range map[string]any{
		"exp": now.Add(limits.AWS().RecordTTL).Unix(), "done_at": now.UnixMilli(), "lease": nil, "open": nil, "rc_left": nil, "fx": nil,
	} {
		if done[name] != want {
			t.Errorf("done: %s = %v, want %v", name, done[name], want)
		}
	}
	check(t, f.operator.Replay(t.Context(), idempotency.ReplayRequest{EventID: req.Event.ID, Generation: 1, Now: now, By: "ann"}))
	if replayed := read(); replayed["exp"] != nil || replayed["open"] == nil {
		t.Errorf("replayed: exp = %v, open = %v", replayed["exp"], replayed["open"])
	}
}
