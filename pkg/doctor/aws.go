package doctor

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"tollgate/pkg/limits"
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
		return f.fail(redeploy, "no event source mapping from the queue to the consumer")
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
	Name    string // without the stage's prefix: "page-ingest-errors"
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
			section := strings.TrimPrefix(strings.TrimPrefix(a.Name, "page-"), "ticket-") // earlier releases named no severity
			there[section] = true
			switch {
			case a.State == "ALARM":
				f.fail("see infra/README.md#alarm-"+section, "%s is in ALARM", a.Name)
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

// Queue reads a queue's attributes, by their SQS names.
type Queue func(ctx context.Context) (map[string]string, error)

// CheckQueues checks the relations that keep events safe: a visibility timeout longer than an
// attempt, enough receives to outlast an outage, and a dead-letter queue with a longer
// retention than the queue.
func CheckQueues(main, dead Queue, s Target) Check {
	return func(ctx context.Context) []Finding {
		m, err := main(ctx)
		if err != nil {
			return []Finding{{"queue", Fail, err.Error(), "is the queue there, and may these credentials call sqs:GetQueueAttributes?"}}
		}
		d, err := dead(ctx)
		if err != nil {
			return []Finding{{"dead-letter queue", Fail, err.Error(), "is the queue there, and may these credentials call sqs:GetQueueAttributes?"}}
		}
		all := append(mainQueue(m, d, s), deadQueue(m, d, s)...)
		return append(all, depth(m, d, s)...)
	}
}

func mainQueue(m, d map[string]string, s Target) []Finding {
	f := findings{name: "queue"}
	l := s.Limits
	visibility := attributeSeconds(m, "VisibilityTimeout")
	switch want := scaled(l.Visibility, l); {
	case visibility < want:
		f.fail(redeploy, "visibility timeout is %s, want %s: a message is redelivered while its attempt runs", visibility, want)
	case visibility > want:
		f.warn(redeploy, "visibility timeout is %s, want %s: a message is delayed longer after a crash", visibility, want)
	}
	if got, want := attributeSeconds(m, "MessageRetentionPeriod"), scaled(l.SourceRetention, l); got < want {
		f.fail(redeploy, "message retention is %s, want %s: a long outage loses messages", got, want)
	}
	if m["DelaySeconds"] != "" && m["DelaySeconds"] != "0" {
		f.warn(redeploy, "every message waits for %s s before its first receive", m["DelaySeconds"])
	}
	redrivePolicy(&f, m["RedrivePolicy"], d["QueueArn"], l)
	encrypted(&f, m, s)
	return f.or("visibility %s, at most %d receives, then the dead-letter queue", visibility, l.MaxReceives)
}

// redrivePolicy checks that failed messages go to the dead-letter queue, after enough receives.
func redrivePolicy(f *findings, text, dead string, l limits.Limits) {
	if text == "" {
		f.fail(redeploy, "no dead-letter queue: failed messages are lost at the end of their retention")
		return
	}
	var p struct {
		Target string      `json:"deadLetterTargetArn"`
		Max    json.Number `json:"maxReceiveCount"` // SQS takes it in quotes too
	}
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		f.fail(redeploy, "its redrive policy cannot be read")
		return
	}
	if p.Target != dead {
		f.fail(redeploy, "its dead letters go to %s and not to %s", p.Target, dead)
	}
	switch got, _ := strconv.Atoi(p.Max.String()); {
	case got < l.MaxReceives:
		f.fail(redeploy, "max receives is %d, want %d: a short outage makes dead letters of healthy events", got, l.MaxReceives)
	case got > l.MaxReceives:
		f.warn(redeploy, "max receives is %d, and the consumer's is %d", got, l.MaxReceives)
	}
}

func deadQueue(m, d map[string]string, s Target) []Finding {
	f := findings{name: "dead-letter queue"}
	kept, want := attributeSeconds(d, "MessageRetentionPeriod"), scaled(s.Limits.DLQRetention, s.Limits)
	switch {
	case kept <= attributeSeconds(m, "MessageRetentionPeriod"):
		// A message moved by the queue keeps the time at which it was first sent.
		f.fail(redeploy, "dead letters are kept for %s, no longer than messages: some expire at once", kept)
	case kept < want:
		f.warn(redeploy, "dead letters are kept for %s, want %s", kept, want)
	}
	if d["RedrivePolicy"] != "" {
		f.fail(redeploy, "it has a redrive policy of its own: reading dead letters would move them")
	}
	encrypted(&f, d, s)
	return f.or("dead letters are kept for %s", kept)
}

func encrypted(f *findings, q map[string]string, s Target) {
	if !s.Local && q["SqsManagedSseEnabled"] != "true" && q["KmsMasterKeyId"] == "" {
		f.warn(redeploy, "messages are not encrypted at rest")
	}
}

// maxInFlight is SQS's bound on received messages of a queue.
const maxInFlight = 120_000

func depth(m, d map[string]string, s Target) []Finding {
	visible, hidden, delayed := number(m, "ApproximateNumberOfMessages"), number(m, "ApproximateNumberOfMessagesNotVisible"), number(m, "ApproximateNumberOfMessagesDelayed")
	f := findings{name: "queue depth"}
	if total := visible + hidden + delayed; total >= s.Limits.Reconcile.MaxBacklog {
		f.warn("does the consumer run? Look at tollgate events list", "%d messages: reconcile sends nothing while so many wait", total)
	}
	if hidden > maxInFlight/2 {
		f.fail("look at tollgate events list --status retrying", "%d messages are in flight; SQS's bound is %d", hidden, maxInFlight)
	}
	all := f.or("%d waiting, %d in flight", visible, hidden+delayed)
	g := findings{name: "dead letters"}
	if n := number(d, "ApproximateNumberOfMessages") + number(d, "ApproximateNumberOfMessagesNotVisible"); n > 0 {
		g.warn("tollgate dlq list, and after the fix tollgate redrive", "%d", n)
	}
	return append(all, g.or("none")...)
}

// scaled is a time in the queue's seconds.
func scaled(d time.Duration, l limits.Limits) time.Duration {
	return (d * time.Duration(max(l.TimeScale, 1))).Round(time.Second)
}

func attributeSeconds(q map[string]string, name string) time.Duration {
	return time.Duration(number(q, name)) * time.Second
}

// number is 0 where the attribute is missing.
func number(q map[string]string, name string) int {
	n := 0
	_, _ = fmt.Sscan(q[name], &n)
	return n
}

// Table describes a table. Attributes are written with their type: "pk S".
type Table struct {
	Status    string
	Key       []string // hash, then range
	Indexes   map[string]Index
	Protected bool // against deletion
}

// Index is one of its indexes.
type Index struct {
	Status     string
	Key        []string
	Projection string
}

// Tables reads the description of the table.
type Tables interface {
	Table(ctx context.Context) (Table, error)
	// Expiry returns the attribute by which items expire, "" when none do.
	Expiry(ctx context.Context) (attribute string, err error)
	// Recovery reports whether the table can be restored to a point in time.
	Recovery(ctx context.Context) (on bool, err error)
}

const redeploy = "deploy the stack again: make deploy"

// CheckTable checks key, indexes, expiry and recovery of the table.
func CheckTable(t Tables, s Target) Check {
	return func(ctx context.Context) []Finding {
		d, err := t.Table(ctx)
		if err != nil {
			return []Finding{{"table", Fail, err.Error(), "is the table there, and may these credentials call dynamodb:DescribeTable?"}}
		}
		all := shape(d)
		all = append(all, expiry(ctx, t)...)
		if s.Local {
			return append(all, Finding{"table recovery", Skipped, "a local table has no backups", ""})
		}
		return append(all, recovery(ctx, t, d)...)
	}
}

func shape(d Table) []Finding {
	f := findings{name: "table"}
	if d.Status != "ACTIVE" && d.Status != "UPDATING" {
		f.fail("wait, or look at the table in AWS's console", "its status is %s", d.Status)
	}
	if !slices.Equal(d.Key, []string{"pk S"}) {
		f.fail("check the name of the table: this is another one", "its key is %q, want pk S", d.Key)
	}
	want := map[string][]string{"open-upd": {"open S", "upd N"}, "list": {"lst S", "at S"}}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		i, ok := d.Indexes[name]
		switch {
		case !ok:
			f.fail(redeploy, "index %s is missing: its lists are empty", name)
		case !slices.Equal(i.Key, want[name]) || i.Projection != "ALL":
			f.fail(redeploy, "index %s is of %q with %s, want %q with ALL", name, i.Key, i.Projection, want[name])
		case i.Status != "" && i.Status != "ACTIVE":
			f.warn("wait until it is built", "index %s is %s", name, i.Status)
		}
	}
	return f.or("key and indexes are as required")
}

func expiry(ctx context.Context, t Tables) []Finding {
	f := findings{name: "table expiry"}
	switch attribute, err := t.Expiry(ctx); {
	case err != nil:
		return unknown(f.name, err, "dynamodb:DescribeTimeToLive")
	case attribute == "":
		f.warn(redeploy, "items do not expire: the table only grows")
	case attribute != "exp":
		f.fail(redeploy, "items expire by %q, want exp: a record may expire before its event's copies", attribute)
	}
	return f.or("items expire by exp")
}

func recovery(ctx context.Context, t Tables, d Table) []Finding {
	f := findings{name: "table recovery"}
	on, err := t.Recovery(ctx)
	if err != nil {
		return unknown(f.name, err, "dynamodb:DescribeContinuousBackups")
	}
	if !on {
		f.warn(redeploy, "the table cannot be restored to a point in time")
	}
	if !d.Protected {
		f.warn(redeploy, "the table is not protected against deletion")
	}
	return f.or("it can be restored, and is protected against deletion")
}
