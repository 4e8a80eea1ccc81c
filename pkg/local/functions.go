package local

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"tollgate/pkg/failpoint"
	"tollgate/pkg/local/aws/logs"
	"tollgate/pkg/local/eventsource"
	"tollgate/pkg/local/gateway"
	"tollgate/pkg/local/lambdahost"
	"tollgate/pkg/local/metrics"
	"tollgate/pkg/local/timeseries"
)

// freeProcessWait is how long a request waits for a free ingest process.
const freeProcessWait = 5 * time.Second

// functions are the system's Lambda functions: the real binaries, with only the environment
// that they have on AWS.
type functions struct {
	ingest, consumer *lambdahost.Function
	reconcile        *lambdahost.Function // nil without it
	sender           *lambdahost.Function // nil without destinations
	history          *lambdahost.Function // nil without a destination that has one
	counts           *Counts
	metrics          *metrics.Metrics
	series           *timeseries.Recorder
}

// haveFunctions returns a one-line error with a hint if a binary is missing.
func haveFunctions(o Options) error {
	names := []string{"ingest", "consumer"}
	if !o.NoReconcile {
		names = append(names, "reconcile")
	}
	if o.Destinations != "" {
		names = append(names, "sender")
	}
	if all, _ := o.destinations(); all.HasHistory() {
		names = append(names, "history")
	}
	for _, name := range names {
		path := filepath.Join(o.Functions, name)
		if _, err := os.Stat(path); err != nil {
			return fmt.Errorf("no binary at %s: build it with make dev, or name another folder with --functions", path)
		}
	}
	return nil
}

// hostFunction makes a function of the binary with its name.
type hostFunction func(name string, timeout time.Duration, processes int, env map[string]string) (*lambdahost.Function, error)

func newFunctions(o Options, info Info, kept *logs.Store) (f functions, err error) {
	endpoints := o.endpointNames()
	log := newLogLines(o.Log, o.LogLevel, kept, endpoints...)
	f.counts, f.metrics, f.series = log.counts, log.seen, log.series
	l := o.limits()
	common := map[string]string{
		"TOLLGATE_STAGE":      "local",
		"TOLLGATE_LOG_LEVEL":  o.LogLevel,
		"TOLLGATE_TIME_SCALE": strconv.Itoa(o.TimeScale),
		"TOLLGATE_QUEUE_URL":  info.QueueURL,
	}
	maps.Copy(common, info.AWSEnv())
	with := func(more map[string]string) map[string]string {
		env := maps.Clone(common)
		maps.Copy(env, more)
		return env
	}
	var host hostFunction = func(name string, timeout time.Duration, processes int, env map[string]string) (*lambdahost.Function, error) {
		return lambdahost.New(lambdahost.Options{
			Name: name, Path: filepath.Join(o.Functions, name), Env: env,
			Timeout: timeout, Late: failpoint.Late, Concurrency: processes, Stdout: log.of(name), Stderr: log.of(name),
		})
	}
	f.ingest, err = host("ingest", l.IngestTimeout, o.IngestConcurrency, with(map[string]string{
		"TOLLGATE_WEBHOOK_SECRET_ID": WebhookSecretID, "TOLLGATE_ENDPOINT_NAMES": strings.Join(endpoints, ","),
	}))
	if err != nil {
		return f, err
	}
	env := consumerEnv(o, info)
	if f.consumer, err = host("consumer", l.ConsumerTimeout, o.ConsumerConcurrency, with(env)); err != nil {
		return f, err
	}
	if f.sender, err = hostSender(host, with(env), o); err != nil {
		return f, err
	}
	if f.history, err = hostHistory(host, with(env), o); err != nil {
		return f, err
	}
	if o.NoReconcile {
		return f, nil
	}
	for _, ofConsumer := range []string{"DLQ_URL", "HOLD_QUEUE_URL", "MAX_RECEIVES", "CONCURRENCY", "HOLD_AFTER"} {
		delete(env, "TOLLGATE_"+ofConsumer)
	}
	if o.Reconcile != "" {
		env["TOLLGATE_RECONCILE"] = o.Reconcile
	}
	f.reconcile, err = host("reconcile", l.Reconcile.Timeout, l.Reconcile.Reserved, with(env))
	return f, err
}

// consumerEnv is what the consumer's environment has besides that of all functions.
func consumerEnv(o Options, info Info) map[string]string {
	env := map[string]string{
		"TOLLGATE_TABLE":             info.Table,
		"TOLLGATE_DLQ_URL":           info.DLQURL,
		"TOLLGATE_HOLD_QUEUE_URL":    info.HoldURL,
		"TOLLGATE_API_KEY_SECRET_ID": APIKeySecretID,
		"TOLLGATE_MAX_RECEIVES":      strconv.Itoa(o.MaxReceives),
		"TOLLGATE_CONCURRENCY":       strconv.Itoa(o.ConsumerConcurrency),
	}
	if o.APIKey == "" { // the fake Stripe has no rate limit
		env["TOLLGATE_STRIPE_RATE"] = "off"
	}
	if o.HoldAfter > 0 {
		env["TOLLGATE_HOLD_AFTER"] = o.HoldAfter.String()
	}
	for name, value := range map[string]string{
		"TOLLGATE_STRIPE_URL": info.StripeURL, "TOLLGATE_ENDPOINTS": o.Endpoints, "TOLLGATE_BEGIN": o.Begin,
		"TOLLGATE_HOLD_BEFORE":  o.HoldBefore,
		"TOLLGATE_DESTINATIONS": o.Destinations, "TOLLGATE_SEND_DLQ_URL": info.SendDLQURL,
	} {
		if value != "" {
			env[name] = value
		}
	}
	return env
}

func (f functions) close(ctx context.Context) error {
	var errs []error
	for _, fn := range []*lambdahost.Function{f.ingest, f.consumer, f.reconcile, f.sender, f.history} {
		if fn != nil {
			errs = append(errs, fn.Close(ctx))
		}
	}
	return errors.Join(errs...)
}

// ingestInvoker invokes the ingest function for the HTTP server.
func (f functions) ingestInvoker(known *rememberDeliveries) gateway.Invoker {
	return func(ctx context.Context, payload []byte) ([]byte, error) {
		answered, err := known.delivering(gateway.RequestOf(ctx))
		if err != nil {
			return nil, fmt.Errorf("%w: %w", gateway.ErrUnavailable, err)
		}
		failpoint.At("host.ingest.before")
		answer, err := f.ingest.InvokeWait(ctx, payload, freeProcessWait)
		failpoint.At("host.ingest.after")
		if err := answered(answer, err); err != nil {
			return nil, fmt.Errorf("%w: %w", gateway.ErrUnavailable, err)
		}
		if errors.Is(err, lambdahost.ErrThrottled) {
			return nil, fmt.Errorf("%w: %w", gateway.ErrUnavailable, err)
		}
		return answer, err
	}
}

// queueInvoker invokes a function for its event source.
func queueInvoker(name string, f *lambdahost.Function) eventsource.Invoker {
	return func(ctx context.Context, payload []byte) ([]byte, error) {
		failpoint.At("host." + name + ".before")
		answer, err := f.Invoke(ctx, payload)
		failpoint.At("host." + name + ".after")
		if errors.Is(err, lambdahost.ErrThrottled) {
			return nil, fmt.Errorf("%w: %w", eventsource.ErrThrottled, err)
		}
		return answer, err
	}
}
