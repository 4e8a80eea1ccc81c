package run

import (
	"context"
	"log/slog"
	"os"
	"slices"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"tollgate/pkg/awsclient"
	"tollgate/pkg/config"
	"tollgate/pkg/dispatch"
	"tollgate/pkg/dynamostore"
	"tollgate/pkg/limits"
	"tollgate/pkg/outbox"
	"tollgate/pkg/pause"
	"tollgate/pkg/reconcile"
	"tollgate/pkg/run/start"
	"tollgate/pkg/secrets"
	"tollgate/pkg/sqsqueue"
	"tollgate/pkg/stripeapi"
	"tollgate/pkg/telemetry"
)

// Reconcile runs the function on the schedule. It enqueues events that Stripe lists and the
// table lacks, of the types that register adds, sends the outbox to the configured destinations or,
// without any, with the sender that newSender returns, and compares the kept rows with Stripe. Its
// input names one task: {"task":"quarter"}, "nightly", "weekly", "outbox" or "verify".
func Reconcile(register func(*dispatch.Mux), newSender func(*slog.Logger) outbox.Sender) {
	start.Function("reconcile", func(lookup config.Lookup) (lambda.Handler, error) { return WireReconcile(lookup, register, newSender) })
}

// WireReconcile returns the function's handler, as WireConsumer does.
func WireReconcile(lookup config.Lookup, register func(*dispatch.Mux), newSender func(*slog.Logger) outbox.Sender) (lambda.Handler, error) {
	t, err := wireReconcile(lookup, register, newSender)
	if err != nil {
		return nil, err
	}
	return lambda.NewHandler(t.run), nil
}

// deadEvents finds when the dead event that has not changed for longest last changed, zero for none.
type deadEvents interface {
	OldestDead(ctx context.Context, since, until time.Time) (time.Time, error)
}

// switchReader reads what is paused.
type switchReader interface {
	Pauses(context.Context) (pause.State, error)
}

// tasks are the tasks of the schedule.
type tasks struct {
	passes *reconcile.Reconciler
	outbox outbox.Store
	sender outbox.Sender
	drains outbox.Options
	verify *comparison
	dead   deadEvents
	pauses switchReader
	limits limits.Limits
	time   time.Duration // of one run; the rest of the timeout is for its log lines
	log    *slog.Logger
}

func wireReconcile(lookup config.Lookup, register func(*dispatch.Mux), newSender func(*slog.Logger) outbox.Sender) (*tasks, error) {
	cfg, err := config.LoadReconcile(lookup)
	if err != nil {
		return nil, err
	}
	log := telemetry.Logger(os.Stderr, telemetry.Options{Stage: cfg.Stage, Version: cfg.Version, Level: cfg.LogLevel})
	client := func(endpoint string) aws.Config { return awsclient.New(cfg.AWS, awsclient.Options{Endpoint: endpoint}) }
	api, err := reconcileStripe(cfg, secretsmanager.NewFromConfig(client(cfg.AWS.EndpointSecretsManager)), log)
	if err != nil {
		return nil, err
	}
	store, err := dynamostore.New(dynamostore.NewClient(client(cfg.AWS.EndpointDynamoDB)), cfg.Table, dynamostore.Options{Limits: cfg.Limits, Retention: cfg.Retention})
	if err != nil {
		return nil, err
	}
	lister, err := stripeapi.New(api.Patient())
	if err != nil {
		return nil, err
	}
	mux, verify, err := verification(cfg, register, store, api, log)
	if err != nil {
		return nil, err
	}
	router, err := sendsOn(mux, cfg.Sending, client(cfg.AWS.EndpointSQS), store)
	if err != nil {
		return nil, err
	}
	l := cfg.Limits.Reconcile
	sender, drains := newSender(log), outbox.Options{Time: l.OutboxTime, Logger: log, HoldBefore: cfg.HoldBefore, Holder: store}
	if router != nil { // the consumer hands younger messages over itself
		sender, drains.MinAge = router, l.OutboxMinAge
	}
	passes, err := reconciler(cfg, mux.Types(), store, client(cfg.AWS.EndpointSQS), lister, log)
	if err != nil {
		return nil, err
	}
	return &tasks{
		passes: passes, outbox: store, sender: sender, drains: drains,
		verify: verify, dead: store, pauses: store, limits: cfg.Limits, time: (l.StopAfter + l.Timeout) / 2, log: log,
	}, nil
}

// verification wires the comparison with the keepers that register adds. Its requests have a
// rate of their own, and few tries: the next run makes up for a failed one.
func verification(cfg config.Reconcile, register func(*dispatch.Mux), store *dynamostore.Store, api stripeapi.Options, log *slog.Logger) (*dispatch.Mux, *comparison, error) {
	l := cfg.Limits.Reconcile.Verify
	api.Rate = float64(cfg.Limits.Background(l.Rate))
	api.ResourceRate, api.Tries, api.TryTimeout = api.Rate, 2, cfg.Limits.StripeTry
	client, err := stripeapi.New(api)
	if err != nil {
		return nil, nil, err
	}
	mux := dispatch.NewMux(dispatch.Config{APIVersion: stripeapi.APIVersion, Objects: client, Rows: store})
	register(mux)
	return mux, &comparison{table: store, rows: mux, items: store, mode: client.Livemode, limits: l, log: log}, nil
}

func reconciler(cfg config.Reconcile, types []string, store *dynamostore.Store, queue aws.Config, stripe *stripeapi.Client, log *slog.Logger) (*reconcile.Reconciler, error) {
	return reconcile.New(reconcile.Config{
		Lister: stripe, Records: store, Coverage: store, Begins: store, Pause: pause.NewCache(store.Pauses, cfg.Limits, nil),
		Sender: sqsqueue.New(sqs.NewFromConfig(awsclient.Once(queue)), cfg.QueueURL, "", cfg.Limits),
		Depth:  sqsqueue.New(sqs.NewFromConfig(queue), cfg.QueueURL, "", cfg.Limits),
		Types:  types, Accounts: cfg.Accounts, Policies: cfg.Endpoints, Begin: cfg.Begin, Limits: cfg.Limits, Logger: log,
	})
}

// reconcileStripe returns the options of a client with the configured API key. Without one,
// every pass fails with stripeapi.ErrNoAPIKey.
func reconcileStripe(cfg config.Reconcile, api secrets.API, log *slog.Logger) (o stripeapi.Options, err error) {
	key, err := secrets.NewAPIKey(secrets.Config{API: api, ID: cfg.APIKeySecretID, Logger: log, Limits: cfg.Limits, First: limits.PatientCall})
	if err != nil {
		return o, err
	}
	return stripeapi.Options{
		Key: key.Key, URL: cfg.StripeURL, ResourceRate: float64(cfg.Limits.Background(cfg.Limits.Reconcile.ListRate)),
	}, nil
}

// input is the schedule's event.
type input struct {
	Task string `json:"task"`
}

// run does one task. Its error fails the invocation; the schedule's next turn retries.
func (t *tasks) run(ctx context.Context, in input) error {
	ctx, cancel := context.WithTimeout(ctx, t.time)
	defer cancel()
	if in.Task == "outbox" {
		return t.drain(ctx)
	}
	if in.Task == "verify" {
		return t.verify.run(ctx)
	}
	started := time.Now()
	r, err := t.passes.Run(ctx, in.Task)
	for _, e := range r.Excluded {
		t.log.InfoContext(ctx, telemetry.ExclusionMessage, "account", e.Account, "endpoint", e.Endpoint, "reason", e.Reason, telemetry.IgnoredKey, max(e.Events, 1))
	}
	level, text := slog.LevelInfo, ""
	if !r.Complete() || err != nil {
		level = slog.LevelWarn
	}
	if err != nil {
		text = err.Error()
	}
	fields := slices.Concat(t.oldestDead(ctx, in.Task), t.pausedFor(ctx, in.Task), []any{
		"tier", in.Task, telemetry.CompleteKey, r.Complete() && err == nil, "slices", r.Slices, "finished", r.Finished, "caught_up", r.CaughtUp, "left_over", r.LeftOver,
		telemetry.ListedKey, r.Listed, "known", r.Known, telemetry.RequeuedKey, r.Requeued(), "unrecorded", r.Unrecorded, "stuck", r.Stuck, "unfinished", r.Unfinished,
		telemetry.MismatchedKey, r.Mismatched, telemetry.UnreadableKey, r.Unreadable, telemetry.DeferredKey, r.Deferred, "paused", r.Paused,
		"stopped", r.Stopped, "ms", time.Since(started).Milliseconds(), "error", text,
	})
	t.log.Log(ctx, level, telemetry.PassMessage, fields...)
	return err
}

// oldestDead returns the member of a frequent pass's line for the age of the oldest dead event,
// none if it is unknown. SQS's own age of dead letters excludes those that were looked at three
// times; one that is older than the retention is gone.
func (t *tasks) oldestDead(ctx context.Context, task string) []any {
	if task != reconcile.Frequent {
		return nil
	}
	now := time.Now()
	at, err := t.dead.OldestDead(ctx, now.Add(-t.limits.DLQRetention), now.Add(-t.limits.Reconcile.StuckAge))
	if err != nil {
		t.log.WarnContext(ctx, "the age of the oldest dead event is unknown", "error", err)
		return nil
	}
	age := int64(0)
	if !at.IsZero() {
		age = int64(now.Sub(at).Seconds())
	}
	return []any{telemetry.OldestDeadKey, age}
}

// pausedFor returns the same for the oldest pause of a type: SQS's own age of held messages excludes
// those that were looked at three times.
func (t *tasks) pausedFor(ctx context.Context, task string) []any {
	if task != reconcile.Frequent {
		return nil
	}
	state, err := t.pauses.Pauses(ctx)
	if err != nil {
		t.log.WarnContext(ctx, "how long types are paused is unknown", "error", err)
		return nil
	}
	age := int64(0)
	if since := state.Since(); !since.IsZero() {
		age = max(0, int64(time.Since(since).Seconds()))
	}
	return []any{telemetry.PausedForKey, age}
}

// drain sends the outbox. A message that could not be sent stays for the next run, a minute
// later. Every run logs its counts, also an idle one: the alarm takes missing data as a
// disabled schedule.
func (t *tasks) drain(ctx context.Context) error {
	started := time.Now()
	r, err := outbox.Drain(ctx, t.outbox, t.sender, t.drains)
	failed, level, text := r.Failed+r.Unmarked, slog.LevelInfo, ""
	if err != nil {
		failed, text = failed+1, err.Error()
	}
	if failed > 0 {
		level = slog.LevelWarn
	}
	fields := []any{telemetry.SentKey, r.Sent, telemetry.FailedKey, failed, "unfinished", r.Unfinished}
	if r.Left != nil {
		fields = append(fields, telemetry.UnsentKey, r.Left.Unsent, telemetry.OldestKey, int64(r.Left.Oldest.Seconds()), telemetry.HeldKey, r.Left.Held)
	}
	t.log.Log(ctx, level, telemetry.OutboxMessage, append(fields, "ms", time.Since(started).Milliseconds(), "error", text)...)
	return nil
}
