//go:build unix

package e2e_test

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	dynamotypes "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/dynamostore"
)

// restored is the name of the table that the runbook's restore makes.
const restored = "tollgate-restored"

// TestRestoredTable follows the runbook: the table is lost with its last hour and replaced by its earlier
// state under another name. Every event is done again, and no receiver gets a message twice.
func TestRestoredTable(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	l := listen(t, data)
	begin := time.Now().Add(-3 * time.Hour).UTC().Format(time.RFC3339)
	args := []string{"--time-scale", "6", "--begin", begin, "--send-to", "http://" + l.address}
	s := start(t, data, append(args, "--no-reconcile")...)
	endpoint := fmt.Appendf(nil, `{"url":%q,"enabled_events":["*"],"secret":%q,"api_version":"2023-10-16"}`, s.info.URL, s.info.Secret)
	if status, answer := s.atStripe(http.MethodPost, "/_fake/webhook_endpoints", endpoint); status != http.StatusOK {
		t.Fatalf("endpoint: %d %s", status, answer)
	}
	kept, lost := []string{"kept0", "kept1", "kept2"}, []string{"lost0", "lost1", "lost2", "lost3"}
	for i, id := range kept {
		s.occurs(paidAgo(id, time.Duration(100+i)*time.Minute), true)
	}
	l.receives(2*len(kept), http.StatusNoContent) // a receipt and the event, of each
	s.isDone(kept)
	snapshot := s.sentAreUnsent("kept2") // of the moment before the marks
	for i, id := range lost {
		s.occurs(paidAgo(id, time.Duration(60+i)*time.Minute), true)
	}
	before := l.receives(2*len(kept)+2*len(lost), http.StatusNoContent)
	s.isDone(lost)
	s.occurs(paidAgo("meanwhile", 10*time.Minute), false) // while the consumer is stopped
	s.restore(snapshot)
	s.interrupt()

	end := time.Now().Add(time.Second).UTC().Format(time.RFC3339)
	s = start(t, data, append(args, "--table", restored, "--hold-before", end)...)
	type outcome struct {
		Open     int
		Complete bool
	}
	if got := jsonLines[outcome](s, "backfill", "--since", begin, "--rate", "1000", "--wait", "2m", "--note", "restored")[0]; got.Open != 0 || !got.Complete {
		t.Fatalf("backfill: %+v", got)
	}
	s.isDone(append(slices.Concat(kept, lost), "meanwhile"))
	if facts := s.items("FACT#"); len(facts) != len(kept)+len(lost)+1 {
		t.Errorf("%d facts: %v", len(facts), slices.Sorted(maps.Keys(facts)))
	}
	// The lost messages, the two that were sent and not marked, and two that were never sent.
	held := s.heldMessages(2*len(lost) + 2 + 2)
	s.sameDeliveries(l, before)
	if n := len(l.deliveries()); n != len(before) {
		t.Errorf("%d messages were received, want %d", n, len(before))
	}

	// What was never sent is released. What happens from now on is sent.
	for _, key := range held {
		if strings.Contains(key, "meanwhile") {
			jsonLines[outcome](s, "outbox", "release", key, "--note", "never sent")
		}
	}
	s.enqueue(paidAgo("new", -2*time.Second))
	s.becomesDone("new")
	l.receives(len(before)+4, http.StatusNoContent)
	s.heldMessages(2*len(lost) + 2)
	s.sameDeliveries(l, before)
	s.interrupt()
}

// occurs gives an event to Stripe, which delivers it or not.
func (s *system) occurs(body []byte, deliver bool) {
	s.t.Helper()
	if status, answer := s.atStripe(http.MethodPost, fmt.Sprint("/_fake/events?deliver=", deliver), body); status != http.StatusOK {
		s.t.Fatalf("give event: %d %s", status, answer)
	}
}

func (s *system) isDone(ids []string) {
	s.t.Helper()
	for _, id := range ids {
		s.becomesDone(id)
	}
}

type rawItem = map[string]dynamotypes.AttributeValue

// sentAreUnsent returns the table's items, with an event's sent messages as before their marks.
func (s *system) sentAreUnsent(id string) []rawItem {
	s.t.Helper()
	out, err := s.table().Scan(s.t.Context(), &dynamodb.ScanInput{TableName: &s.info.Table, ConsistentRead: aws.Bool(true)})
	must(s.t, err)
	unsent := 0
	for _, it := range out.Items {
		if key := readItem(it)["pk"]; dispatch.IsMessageKey(key) && strings.Contains(key, id) {
			unsent++
			delete(it, "sent_at")
			it["lst"] = &dynamotypes.AttributeValueMemberS{Value: dispatch.OutboxList(dispatch.OutboxShard(key))}
		}
	}
	if unsent != 2 || out.LastEvaluatedKey != nil {
		s.t.Fatalf("%d messages of %s, want 2", unsent, id)
	}
	return out.Items
}

// restore makes a table of another name as AWS does, with its expiry off, and switches that on.
func (s *system) restore(items []rawItem) {
	s.t.Helper()
	client, name := s.table(), aws.String(restored)
	must(s.t, errOf(client.CreateTable(s.t.Context(), dynamostore.TableSchema(restored))))
	for _, it := range items {
		must(s.t, errOf(client.PutItem(s.t.Context(), &dynamodb.PutItemInput{TableName: name, Item: it})))
	}
	off, err := client.DescribeTimeToLive(s.t.Context(), &dynamodb.DescribeTimeToLiveInput{TableName: name})
	if err != nil || off.TimeToLiveDescription.TimeToLiveStatus != dynamotypes.TimeToLiveStatusDisabled {
		s.t.Fatalf("a restored table expires its items: %v, %v", off.TimeToLiveDescription, err)
	}
	must(s.t, errOf(client.UpdateTimeToLive(s.t.Context(), &dynamodb.UpdateTimeToLiveInput{
		TableName: name, TimeToLiveSpecification: &dynamotypes.TimeToLiveSpecification{AttributeName: aws.String("exp"), Enabled: aws.Bool(true)},
	})))
}

// heldMessages waits until n messages are held for the restore, and none waits to be sent.
func (s *system) heldMessages(n int) (keys []string) {
	s.t.Helper()
	type message struct{ Key, Status, Held string }
	eventually(s.t, func() (bool, string) {
		all := jsonLines[message](s, "outbox", "list")
		keys = nil
		for _, m := range all {
			if m.Status == "held" && m.Held == dispatch.HeldBefore {
				keys = append(keys, m.Key)
			}
		}
		return len(keys) == n && len(all) == n, fmt.Sprintf("the outbox has %+v, want %d held", all, n)
	})
	return keys
}

// sameDeliveries: the receiver got none of these again, and nothing waits to be delivered.
func (s *system) sameDeliveries(l *listener, before map[string][]delivery) {
	s.t.Helper()
	eventually(s.t, func() (bool, string) {
		queued := s.destination("listen").Queued
		return queued == 0, fmt.Sprintf("%d deliveries wait", queued)
	})
	all := l.deliveries()
	for id, d := range before {
		if len(all[id]) != len(d) {
			s.t.Errorf("%s, %s, was received %d times, and %d before the restore", id, d[0].Type, len(all[id]), len(d))
		}
	}
}
