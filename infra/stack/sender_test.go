package stack_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"

	"tollgate/infra/check"
	"tollgate/infra/stack"
	"tollgate/pkg/limits"
)

// everyKind has a destination of each type, and two of one group.
func everyKind() object {
	with := func(typ string, more object) object {
		d := object{"type": typ, "messages": []any{"*"}}
		for name, v := range more {
			d[name] = v
		}
		return d
	}
	const arn = ":eu-central-1:123456789012:"
	return object{
		"crm":  with("http", object{"url": "https://crm.example.com/hooks", "secret": "tollgate/send/crm", "events": []any{"invoice.*"}, "group": "crm-eu", "concurrency": 25, "history": true}),
		"erp":  with("http", object{"url": "https://erp.example.com/hooks", "secret": "arn:aws:secretsmanager" + arn + "secret:erp-AbCdEf", "group": "crm-eu", "concurrency": 25}),
		"jobs": with("sqs", object{"queue": "https://sqs.eu-central-1.amazonaws.com/123456789012/jobs", "concurrency": 3}),
		"bus":  with("eventbridge", object{"bus": "arn:aws:events" + arn + "event-bus/billing"}),
		"news": with("sns", object{"topic": "arn:aws:sns" + arn + "news"}),
		"mail": with("email", object{"from": "Billing <billing@example.com>"}),
	}
}

// groupsOf returns n destinations, each with a group of its own.
func groupsOf(n int) object {
	all := object{}
	for i := range n {
		all[fmt.Sprint("n", i)] = object{"type": "sns", "topic": "arn:aws:sns:eu-central-1:123456789012:t", "messages": []any{"*"}}
	}
	return all
}

// TestSender checks a stage that sends with other options.
func TestSender(t *testing.T) {
	for name, change := range map[string]object{
		"one": {"destinations": groupsOf(1)}, "ten groups": {"destinations": groupsOf(10)},
		"ten groups and a key": {"destinations": groupsOf(10), "key": "arn:aws:kms:eu-central-1:123456789012:key/0a1b2c3d-0000-4000-8000-000000000001", "table": strings.Repeat("t", 64)},
		"nothing reserved":     {"destinations": everyKind(), "reserved": false},
	} {
		t.Run(name, func(t *testing.T) {
			raw := synth(t, options(t, "eu-2", change))
			if err := check.Run(raw, limits.AWS()); err != nil {
				t.Error(err)
			}
			function := parse(t, raw).Resources["Sender"].Properties.(object)
			key := function["Environment"].(object)["Variables"].(object)["TOLLGATE_API_KEY_SECRET_ID"]
			if (key != nil) != (name == "nothing reserved") {
				t.Errorf("the API key is given to a sender that does not ask Stripe, or is not to one that does: %v", key)
			}
		})
	}
}

// TestSenderNeedsCode: only a stage that sends needs the sender's bundle.
func TestSenderNeedsCode(t *testing.T) {
	code := bundles(t)
	if err := os.RemoveAll(filepath.Join(code, "sender")); err != nil {
		t.Fatal(err)
	}
	if _, err := stack.New(awscdk.NewApp(nil), options(t, "test", nil), code); err != nil {
		t.Error(err)
	}
	_, err := stack.New(awscdk.NewApp(nil), options(t, "test", object{"destinations": groupsOf(1)}), code)
	if err == nil || !strings.Contains(err.Error(), "find the code of sender") {
		t.Errorf("without the sender's code: %v", err)
	}
}
