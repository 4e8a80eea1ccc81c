package doctor

import (
	"testing"

	"tollgate/pkg/cmd/tollgate/verb"
)

// TestTargetOf: the mode of a stage follows from its name, as in the stack.
func TestTargetOf(t *testing.T) {
	for queue, want := range map[string]struct{ live, known bool }{
		"tollgate-live-events": {true, true}, "tollgate-prod-events": {true, true}, "tollgate-production-events": {true, true},
		"tollgate-test-events": {false, true}, "tollgate-preprod-events": {false, true}, "billing-live-events": {false, false},
	} {
		got := targetOf(&verb.App{}, verb.Target{QueueURL: "https://sqs.eu-central-1.amazonaws.com/123456789012/" + queue})
		if got.Live != want.live || got.Known != want.known {
			t.Errorf("%s: live %v, known %v, want %v", queue, got.Live, got.Known, want)
		}
	}
}
