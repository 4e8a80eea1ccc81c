package main

import (
	"context"
	"io"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/config"
	"tollgate/pkg/dynamostore"
	"tollgate/pkg/event"
	"tollgate/pkg/idempotency"
	"tollgate/pkg/limits"
	"tollgate/pkg/local"
	"tollgate/pkg/policy"
	"tollgate/pkg/stripeapi"
)

// What follows gives package verb's names their old spelling, for verbs that have not moved to
// packages of their own.

type (
	app struct {
		shared      *verb.App
		json        bool
		stack, data string
		env         config.Command
		streams
	}
	streams struct {
		in       *os.File
		out, err io.Writer
	}
	target struct {
		verb.Target
		name, table, queueURL, dlqURL                   string
		aws                                             aws.Config
		timeScale, maxReceives                          int
		url, stripeURL, webhookSecretID, apiKeySecretID string
		local                                           bool
		secret, endpoints, reconciled                   string
		endpointSecrets                                 map[string]string
	}
	auditOf    struct{ verb, why, detail string }
	progress   struct{ *verb.Progress }
	recordView = verb.RecordView
	lookup     = func(string) (string, bool)
)

const (
	exitDone   = verb.ExitDone
	exitFailed = verb.ExitFailed
	exitUsage  = verb.ExitUsage

	defaultData = ".tollgate"

	progressEvery = time.Second
)

func appOf(a *verb.App) *app {
	return &app{shared: a, json: a.JSON, stack: a.Stack, data: a.Data, env: a.Env, streams: streams{a.In, a.Out, a.Err}}
}

func (a *app) is() *verb.App {
	if a.shared == nil {
		a.shared = &verb.App{}
	}
	a.shared.JSON, a.shared.Stack, a.shared.Data, a.shared.Env = a.json, a.stack, a.data, a.env
	a.shared.Streams = verb.Streams{In: a.in, Out: a.out, Err: a.err}
	return a.shared
}

func (a *app) target(ctx context.Context) (target, error) {
	t, err := a.is().Target(ctx)
	return target{
		Target: t, name: t.Name, table: t.Table, queueURL: t.QueueURL, dlqURL: t.DLQURL, aws: t.AWS, timeScale: t.TimeScale, maxReceives: t.MaxReceives,
		url: t.URL, stripeURL: t.StripeURL, webhookSecretID: t.WebhookSecretID, apiKeySecretID: t.APIKeySecretID, local: t.Local,
		secret: t.Secret, endpoints: t.Endpoints, reconciled: t.Reconciled, endpointSecrets: t.EndpointSecrets,
	}, err
}

func (t target) is() verb.Target {
	t.Target.AWS, t.Target.Table = t.aws, t.table
	return t.Target
}

func (t target) writer() (*dynamostore.Operator, error) { return t.is().Writer() }
func (t target) reader() (*dynamostore.Reader, error)   { return t.is().Reader() }
func (t target) policies(ctx context.Context) (map[string]policy.Policy, error) {
	return t.is().Policies(ctx)
}

func (t target) excludes(ctx context.Context) (func(event.Envelope) bool, error) {
	return t.is().Excludes(ctx)
}

func (a *app) localInfo(ctx context.Context) (local.Info, error) { return a.is().LocalInfo(ctx) }
func (a *app) line(item any, text string)                        { a.is().Line(item, text) }
func (a *app) object(v any)                                      { a.is().Object(v) }
func (a *app) table(head []string, rows [][]string)              { a.is().Table(head, rows) }
func (a *app) fields(lines [][2]string)                          { a.is().Fields(lines) }
func (a *app) progress(what string, total int) *progress {
	return &progress{a.is().Progress(what, total)}
}
func (a *app) counter(verb, what string) *progress { return &progress{a.is().Counter(verb, what)} }
func (p *progress) add(n int)                      { p.Add(n) }
func (p *progress) done()                          { p.Done() }
func (p *progress) count() int                     { return p.Count() }
func (a *app) confirm(ctx context.Context, t target, what string, yes bool) error {
	return a.is().Confirm(ctx, t.is(), what, yes)
}

func (a *app) audited(ctx context.Context, t target, of auditOf, work func(context.Context) (string, error)) error {
	return a.is().Audited(ctx, t.is(), verb.Audit{Verb: of.verb, Note: of.why, Detail: of.detail}, work)
}

func (a *app) countHeld(ctx context.Context, t target, ids []string) (int, error) {
	return a.is().CountHeld(ctx, t.is(), ids)
}

func (a *app) stripe(ctx context.Context, t target) (*stripeapi.Client, error) {
	return a.is().Stripe(ctx, t.is())
}

func (a *app) stripeOptions(ctx context.Context, t target) (stripeapi.Options, error) {
	return a.is().StripeOptions(ctx, t.is())
}

func usage(format string, args ...any) error           { return verb.Usage(format, args...) }
func hint(err error, format string, args ...any) error { return verb.Hint(err, format, args...) }
func clip(s string, n int) string                      { return verb.Clip(s, n) }
func oneLine(s string) string                          { return verb.OneLine(s) }
func dash(s string) string                             { return verb.Dash(s) }
func stamp(t time.Time) *string                        { return verb.Stamp(t) }
func shortTime(t, now time.Time) string                { return verb.ShortTime(t, now) }
func longTime(t time.Time) string                      { return verb.LongTime(t) }
func plural(n int, one, more string) string            { return verb.Plural(n, one, more) }
func heldText(n int, whole bool) string                { return verb.HeldText(n, whole) }
func operator() string                                 { return verb.Operator() }
func operatorAs(pid int) string                        { return verb.OperatorAs(pid) }
func split(list string) []string                       { return verb.Split(list) }
func once(ids []string) []string                       { return verb.Unique(ids) }
func isTerminal(f *os.File) bool                       { return verb.IsTerminal(f) }

func viewOf(r idempotency.Record, now time.Time, l limits.Limits) recordView {
	return verb.ViewOf(r, now, l)
}

func (t target) limits() limits.Limits             { return t.is().Limits() }
func (t target) settled(r idempotency.Record) bool { return t.is().Settled(r) }

func whenOf(flag, s string, now time.Time) (time.Time, error) { return verb.When(flag, s, now) }

func pace(rate float64) func(context.Context) error {
	limit := verb.Pace(rate)
	return func(ctx context.Context) error { return limit.Wait(ctx) }
}

func awaitRecord(ctx context.Context, reader *dynamostore.Reader, id string, end time.Time, over func(idempotency.Record) bool) (idempotency.Record, bool, error) {
	return verb.AwaitRecord(ctx, reader, id, end, over)
}
func stripeHint(err error) error { return verb.StripeHint(err) }
