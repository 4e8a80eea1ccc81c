package runsender

import (
	"context"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"tollgate/pkg/config"
	"tollgate/pkg/dispatch"
	"tollgate/pkg/limits"
	"tollgate/pkg/run"
)

// TestRetentionReachesTheTable: facts and sent messages expire as configured, also those that the
// minute's task sends.
func TestRetentionReachesTheTable(t *testing.T) {
	s := newSystem(t)
	s.env["TOLLGATE_KEEP_SENT"], s.env["TOLLGATE_KEEP_FACTS"], s.env["TOLLGATE_TIME_SCALE"] = "180", "400", "200"
	s.wire()
	delete(s.env, "TOLLGATE_TIME_SCALE") // a busy machine needs a handler's whole time
	var err error
	s.consumer, err = run.WireConsumer(config.Lookup(func(name string) (string, bool) { v, ok := s.env[name]; return v, ok }), func(m *dispatch.Mux) {
		dispatch.On(m, "account.updated", func(_ context.Context, e dispatch.Event[map[string]any]) (dispatch.Effects, error) {
			return dispatch.Effects{dispatch.Insert(limits.KeyFact+e.Input.ID, nil)}, nil
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	s.event("evt_handed", "account.updated")
	s.down.Store(true)
	s.event("evt_swept", "account.updated")
	s.down.Store(false)
	for len(s.sent()) < 2 && time.Since(begin) < 2*time.Minute {
		s.outbox() // once the message is old enough
	}
	found := 0
	for _, it := range s.items() {
		key := it["pk"].(*types.AttributeValueMemberS).Value
		least := map[bool]time.Duration{true: limits.LeastFacts, false: limits.LeastSent}[strings.HasPrefix(key, limits.KeyFact)]
		if !strings.HasPrefix(key, limits.KeyFact) && !strings.HasPrefix(key, limits.KeyMessage) {
			continue
		}
		found++
		expires, _ := it["exp"].(*types.AttributeValueMemberN)
		if expires == nil || expires.Value < stamp(begin.Add(least)) || expires.Value > stamp(time.Now().Add(least)) {
			t.Errorf("%s expires at %v", key, it["exp"])
		}
	}
	if found != 4 {
		t.Errorf("%d facts and messages, want 4", found)
	}
}

func (s *system) items() []map[string]types.AttributeValue {
	s.t.Helper()
	out, err := s.aws.Dynamo.Scan(s.t.Context(), &dynamodb.ScanInput{TableName: aws.String("tollgate")})
	if err != nil {
		s.t.Fatal(err)
	}
	return out.Items
}

// sent are the messages that are marked as sent.
func (s *system) sent() (keys []string) {
	for _, it := range s.items() {
		if it["sent_at"] != nil {
			keys = append(keys, it["pk"].(*types.AttributeValueMemberS).Value)
		}
	}
	return keys
}

func stamp(t time.Time) string { return strconv.FormatInt(t.Unix(), 10) }
