package doctor

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"tollgate/pkg/limits"
)

// Function is one Lambda function.
type Function struct {
	Name     string
	State    string // "Active"
	Update   string // of the last deployment: "Successful"
	Timeout  time.Duration
	Reserved int // -1 when no concurrency is reserved
	Changed  string
	Version  string // of Tollgate, "" before releases had one
	Released bool   // its callers have an alias: its configuration changes with a deploy alone
}

// Account is what Lambda allows in the Region.
type Account struct {
	Limit      int // concurrent executions of all functions
	Unreserved int // what is left of it after all reservations
}

// Mapping is an event source mapping from a queue to a function.
type Mapping struct {
	ID             string
	State          string
	Function       string // ARN
	PartialBatches bool   // ReportBatchItemFailures
	MaxConcurrency int    // 0 when there is no bound
	BatchSize      int
}

// Functions reads from Lambda.
type Functions interface {
	Function(ctx context.Context, name string) (Function, error)
	// Mappings are those of the queue of events.
	Mappings(ctx context.Context) ([]Mapping, error)
	Account(ctx context.Context) (Account, error)
}

const readFunction = "lambda:GetFunctionConfiguration and lambda:GetFunctionConcurrency"

// CheckFunctions checks the functions, their version, the account's concurrency and the event
// source mapping of the consumer. The names of the functions start with prefix, for example
// "tollgate-live".
func CheckFunctions(fs Functions, prefix string, s Target) Check {
	return func(ctx context.Context) (all []Finding) {
		l := s.Limits
		wants := []struct {
			name     string
			timeout  time.Duration
			reserved int
		}{{"ingest", l.IngestTimeout, l.ReservedIngest}, {"consumer", l.ConsumerTimeout, l.ReservedConsumer}, {"reconcile", l.Reconcile.Timeout, l.Reconcile.Reserved}}
		there := map[string]Function{}
		reserved, without := 0, 0
		for _, want := range wants {
			name := "function " + want.name
			fn, err := fs.Function(ctx, prefix+"-"+want.name)
			if err != nil {
				all = append(all, unknown(name, err, readFunction)...)
				continue
			}
			there[want.name] = fn
			if reserved += max(fn.Reserved, 0); fn.Reserved < 0 {
				without++
			}
			all = append(all, function(name, fn, want.timeout, want.reserved)...)
		}
		all = append(all, release(there, s.Version)...)
		if len(there) == len(wants) {
			all = append(all, concurrency(ctx, fs, reserved, without, l.Reserved())...)
		}
		mappings, err := fs.Mappings(ctx)
		if err != nil {
			return append(all, unknown("trigger", err, "lambda:ListEventSourceMappings and sqs:GetQueueAttributes")...)
		}
		consumer, ok := there["consumer"]
		if !ok {
			consumer.Reserved = -1
		}
		return append(all, trigger(mappings, prefix+"-consumer", consumer, l)...)
	}
}

func function(name string, fn Function, timeout time.Duration, reserve int) []Finding {
	f := findings{name: name}
	if fn.State != "" && fn.State != "Active" {
		f.fail(redeploy, "its state is %s", fn.State)
	}
	if fn.Update != "" && fn.Update != "Successful" {
		f.fail(redeploy, "its last deployment is %s", fn.Update)
	}
	if fn.Reserved == 0 {
		f.fail(fmt.Sprintf("aws lambda put-function-concurrency --function-name %s --reserved-concurrent-executions %d", fn.Name, reserve),
			"its reserved concurrency is 0: it is switched off")
	}
	if fn.Timeout != timeout {
		do := fmt.Sprintf("aws lambda update-function-configuration --function-name %s --timeout %d", fn.Name, timeout/time.Second)
		if fn.Released {
			do = redeploy
		}
		f.warn(do, "its timeout is %s, want %s", fn.Timeout, timeout)
	}
	reserved := "none reserved"
	if fn.Reserved > 0 {
		reserved = fmt.Sprintf("%d reserved", fn.Reserved)
	}
	return f.or("deployed %s, %s", fn.Changed, reserved)
}

// Unreleased is the version of a build that was given none.
const Unreleased = "dev"

// release compares the deployed functions' versions with each other and with the command's.
func release(there map[string]Function, own string) []Finding {
	f := findings{name: "version"}
	byVersion := map[string][]string{}
	for _, name := range slices.Sorted(maps.Keys(there)) {
		v := there[name].Version
		if v == "" {
			v = Unreleased
		}
		byVersion[v] = append(byVersion[v], name)
	}
	switch deployed := slices.Sorted(maps.Keys(byVersion)); {
	case len(deployed) == 0:
		return f.warn("look at the findings of the functions", "could not be checked: no function was read")
	case len(deployed) > 1:
		var each []string
		for _, v := range deployed {
			each = append(each, strings.Join(byVersion[v], " and ")+" "+v)
		}
		return f.fail("wait for a rollout to end, else make deploy", "the functions have different versions: %s", strings.Join(each, ", "))
	case deployed[0] == Unreleased || own == Unreleased:
		return f.warn("make deploy VERSION=…, and a command that was built with it", "could not be checked: deployed is %s, this command is %s", deployed[0], own)
	case deployed[0] != own:
		return f.fail("make deploy VERSION="+own+", or use the command of version "+deployed[0], "deployed is %s, this command is %s", deployed[0], own)
	}
	return f.or("%s, as this command", own)
}

// concurrency checks that the account can carry the stage's reservations. Lambda refuses those
// that leave too little for other functions.
func concurrency(ctx context.Context, fs Functions, reserved, without, want int) []Finding {
	f := findings{name: "concurrency"}
	a, err := fs.Account(ctx)
	if err != nil {
		return unknown(f.name, err, "lambda:GetAccountSettings")
	}
	others := a.Limit - a.Unreserved - reserved
	switch need := others + want + limits.Unreserved; {
	case a.Limit < need:
		f.fail(fmt.Sprintf(`aws service-quotas request-service-quota-increase --service-code lambda --quota-code L-B99A9384 --desired-value %d, then "reserved": true and make deploy`, need),
			"the account's limit is %d, and it takes %d to reserve %d for this stage, next to %d that others reserve and %d that stay unreserved: other functions can stop this stage", a.Limit, need, want, others, limits.Unreserved)
	case without > 0:
		f.warn(`"reserved": true in the stage's file, and make deploy`, "%d functions reserve none: other functions of the account can take all of it", without)
	}
	return f.or("%d of the account's %d reserved, %d by others, %d left", reserved, a.Limit, others, a.Unreserved)
}

func trigger(mappings []Mapping, consumer string, is Function, l limits.Limits) []Finding {
	f := findings{name: "trigger"}
	if len(mappings) == 0 {
		return f.fail(fmt.Sprintf("aws lambda create-event-source-mapping --function-name %s:%s --event-source-arn ARN --function-response-types ReportBatchItemFailures, until the stack makes its own again", consumer, limits.Alias),
			"no event source mapping from the queue to the consumer: no event is handled")
	}
	if len(mappings) > 1 {
		f.fail("aws lambda delete-event-source-mapping --uuid UUID for the ones that are not the stack's", "%d mappings read from the queue: another reader takes events away", len(mappings))
	}
	m := mappings[0]
	update := "aws lambda update-event-source-mapping --uuid " + m.ID
	switch onAlias := update + " --function-name " + consumer + ":" + limits.Alias; {
	case !isFunction(m.Function, consumer):
		f.fail(onAlias, "messages go to %s", m.Function)
	case is.Released && !strings.HasSuffix(m.Function, ":"+limits.Alias):
		f.fail(onAlias, "messages go to %s, not to the alias %s, which a deploy moves", qualifier(m.Function), limits.Alias)
	}
	if m.State != "Enabled" && m.State != "Updating" && m.State != "Enabling" {
		f.fail(update+" --enabled", "the event source mapping is %s: no event is handled; if everything is paused, tollgate resume --all enables it", strings.ToLower(m.State))
	}
	if !m.PartialBatches {
		f.fail(update+" --function-response-types ReportBatchItemFailures", "it does not report failures of single messages: a failed event counts as done and is lost")
	}
	bound := fmt.Sprintf("%s --scaling-config MaximumConcurrency=%d", update, l.MaxConcurrency)
	switch {
	case m.MaxConcurrency == 0:
		f.warn(bound, "no reserved concurrency: throttled invocations use up receives of healthy events")
	case is.Reserved > 0 && m.MaxConcurrency > is.Reserved:
		f.fail(bound, "up to %d consumers with %d reserved: throttled invocations use up receives of healthy events", m.MaxConcurrency, is.Reserved)
	}
	if m.BatchSize != l.BatchSize {
		f.warn(fmt.Sprintf("%s --batch-size %d", update, l.BatchSize), "its batches hold %d messages, want %d", m.BatchSize, l.BatchSize)
	}
	return f.or("%s, up to %d at once, single failures reported", qualifier(m.Function), m.MaxConcurrency)
}

// isFunction reports whether an ARN, with or without a version, is of a function.
func isFunction(arn, name string) bool {
	parts := strings.Split(arn, ":")
	return len(parts) >= 7 && parts[6] == name
}

func qualifier(arn string) string {
	if parts := strings.Split(arn, ":"); len(parts) == 8 {
		return "version " + parts[7] // or an alias
	}
	return "the latest version"
}
