package doctor

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// Function is one Lambda function.
type Function struct {
	State    string // "Active"
	Update   string // of the last deployment: "Successful"
	Timeout  time.Duration
	Reserved int // -1 when no concurrency is reserved
	Changed  string
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
}

// CheckFunctions checks the functions and the event source mapping of the consumer.
// The names of the functions start with prefix, for example "tollgate-live".
func CheckFunctions(fs Functions, prefix string, s Target) Check {
	return func(ctx context.Context) (all []Finding) {
		l := s.Limits
		reserved := -1
		for _, want := range []struct {
			name    string
			timeout time.Duration
		}{{"ingest", l.IngestTimeout}, {"consumer", l.ConsumerTimeout}, {"reconcile", l.Reconcile.Timeout}} {
			name := "function " + want.name
			fn, err := fs.Function(ctx, prefix+"-"+want.name)
			if err != nil {
				all = append(all, unknown(name, err, "lambda:GetFunctionConfiguration and lambda:GetFunctionConcurrency")...)
				continue
			}
			if want.name == "consumer" {
				reserved = fn.Reserved
			}
			all = append(all, function(name, fn, want.timeout)...)
		}
		mappings, err := fs.Mappings(ctx)
		if err != nil {
			return append(all, unknown("trigger", err, "lambda:ListEventSourceMappings")...)
		}
		return append(all, trigger(mappings, prefix+"-consumer", reserved, l.BatchSize)...)
	}
}

func function(name string, fn Function, timeout time.Duration) []Finding {
	f := findings{name: name}
	if fn.State != "" && fn.State != "Active" {
		f.fail(redeploy, "its state is %s", fn.State)
	}
	if fn.Update != "" && fn.Update != "Successful" {
		f.fail(redeploy, "its last deployment is %s", fn.Update)
	}
	if fn.Reserved == 0 {
		f.fail("reserve concurrency for it again, or remove the reservation", "its reserved concurrency is 0: it is switched off")
	}
	if fn.Timeout != timeout {
		f.warn(redeploy, "its timeout is %s, want %s", fn.Timeout, timeout)
	}
	reserved := "none reserved"
	if fn.Reserved > 0 {
		reserved = fmt.Sprintf("%d reserved", fn.Reserved)
	}
	return f.or("deployed %s, %s", fn.Changed, reserved)
}

func trigger(mappings []Mapping, consumer string, reserved, batch int) []Finding {
	f := findings{name: "trigger"}
	if len(mappings) == 0 {
		f.fail(redeploy, "no event source mapping from the queue to the consumer")
		return f.list
	}
	if len(mappings) > 1 {
		f.fail("delete the ones that are not the stack's", "%d mappings read from the queue: another reader takes events away", len(mappings))
	}
	m := mappings[0]
	if !isFunction(m.Function, consumer) {
		f.fail(redeploy, "messages go to %s", m.Function)
	}
	if m.State != "Enabled" && m.State != "Updating" && m.State != "Enabling" {
		f.fail("aws lambda update-event-source-mapping --enabled --uuid "+m.ID, "the event source mapping is %s: no event is handled", strings.ToLower(m.State))
	}
	if !m.PartialBatches {
		f.fail(redeploy, "it does not report failures of single messages: a failed event counts as done and is lost")
	}
	switch {
	case m.MaxConcurrency == 0:
		f.warn(redeploy, "no reserved concurrency: throttled invocations use up receives of healthy events")
	case reserved > 0 && m.MaxConcurrency > reserved:
		f.fail(redeploy, "up to %d consumers with %d reserved: throttled invocations use up receives of healthy events", m.MaxConcurrency, reserved)
	}
	if m.BatchSize != batch {
		f.warn(redeploy, "its batches hold %d messages, want %d", m.BatchSize, batch)
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
		return "version " + parts[7]
	}
	return "the latest version"
}

// Alarm is one of CloudWatch's.
type Alarm struct {
	Name    string // without the stage's prefix
	State   string // OK, ALARM or INSUFFICIENT_DATA
	Enabled bool   // its actions are enabled
	Actions int
}

// CheckAlarms checks that alarms have enabled actions and that none is in ALARM. alarms reads
// those whose names start with a prefix, "tollgate-live-" for example.
func CheckAlarms(alarms func(ctx context.Context, prefix string) ([]Alarm, error), prefix string) Check {
	return func(ctx context.Context) []Finding {
		f := findings{name: "alarms"}
		all, err := alarms(ctx, prefix+"-")
		if err != nil {
			return unknown(f.name, err, "cloudwatch:DescribeAlarms")
		}
		there := map[string]bool{}
		for _, a := range all {
			there[a.Name] = true
			switch {
			case a.State == "ALARM":
				f.fail("see infra/README.md#alarm-"+a.Name, "%s is in ALARM", a.Name)
			case !a.Enabled:
				f.warn("aws cloudwatch enable-alarm-actions --alarm-names "+prefix+"-"+a.Name, "%s has its actions disabled", a.Name)
			case a.Actions == 0:
				f.warn(redeploy, "%s has no action", a.Name)
			}
		}
		for _, name := range []string{"ingest-errors", "dead-letters"} { // every stack of ours has these
			if !there[name] {
				f.fail(redeploy, "there is no alarm %s", name)
			}
		}
		return f.or("%d, none in ALARM", len(all))
	}
}
