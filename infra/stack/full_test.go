package stack_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tollgate/infra/stack"
)

const topic = "arn:aws:sns:eu-central-1:123456789012:on-call"

const certificate = "arn:aws:acm:eu-central-1:123456789012:certificate/0a1b2c3d-0000-4000-8000-000000000000"

// everyOption sets every key so that the template has as much as possible: another alarm-topic or
// reserved would leave resources or properties out.
func everyOption() object {
	return object{
		"alarm-email":          "ops@example.com",
		"alarm-topic":          "", // excludes alarm-email
		"allow-ips":            []any{"3.18.12.63", "10.0.0.0/8"},
		"backup":               object{"schedule": "daily", "copy-to": "arn:aws:backup:eu-west-1:210987654321:backup-vault:tollgate-copies"},
		"begin":                "2026-11-21T12:00:00Z",
		"budget":               200,
		"destinations":         everyKind(),
		"domain":               object{"name": "hooks.example.com", "certificate": certificate, "zone": "Z0123456789ABCDEFGHIJ"},
		"endpoints":            object{"default": object{"livemode": []any{true}}, "connect": object{"accounts": []any{"acct_1"}, "on_mismatch": "ignore"}},
		"event-metrics":        true,
		"eventbridge":          "aws.partner/stripe.com/ed_test_61a",
		"hold-after":           "36h",
		"hold-before":          "2026-11-01T00:00:00Z",
		"key":                  "arn:aws:kms:eu-central-1:123456789012:key/0a1b2c3d-0000-4000-8000-000000000001",
		"operators":            []any{"arn:aws:iam::123456789012:role/billing-*"},
		"log-days":             90,
		"reconcile":            object{"-": "default", "acct_1": "connect"},
		"reserved":             true, // false leaves the reservations out
		"silence-hours":        6,
		"stripe-rate":          60,
		"table":                "tollgate-restored",
		"tracing":              true,
		"log-level":            "debug",
		"permissions-boundary": "arn:aws:iam::123456789012:policy/boundary",
		"rollout":              "canary",
		"retention":            object{"sent": 180, "facts": 400},
	}
}

// TestFullHasEveryKey: the golden template full shows every option, also the next one.
func TestFullHasEveryKey(t *testing.T) {
	if diff := cmp.Diff(slices.Sorted(maps.Keys(stack.Keys())), slices.Sorted(maps.Keys(everyOption()))); diff != "" {
		t.Errorf("everyOption (-keys +there):\n%s", diff)
	}
}
