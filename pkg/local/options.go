package local

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"strings"
	"time"

	"tollgate/pkg/config"
	"tollgate/pkg/ingest"
	"tollgate/pkg/limits"
	"tollgate/pkg/registration"
)

// Options configure how the local system runs. The zero value of each field is its default.
type Options struct {
	Listen    string // where deliveries are posted; default 127.0.0.1:4242
	AWSListen string // of the embedded AWS services; default 127.0.0.1:4566
	Data      string // folder of everything durable; default .tollgate
	Functions string // folder of the function binaries ingest, consumer, reconcile and sender; required

	WebhookSecrets []string // default: the secret of the last run, or a new one
	APIKey         string   // default: none, and the fake Stripe serves as Stripe
	AllowLive      bool     // accept a live API key

	TimeScale   int // divides all waits of queue and consumer; default 1
	MaxReceives int // default: that of the limits

	IngestConcurrency   int // processes at once; default 8
	ConsumerConcurrency int // processes at once; default 4

	// As the stack's options of these names: which events each endpoint accepts, which accounts
	// reconcile lists, and from which time. Every named endpoint gets a signing secret.
	Endpoints, Reconcile, Begin string

	// Destinations are those of the stack's option of this name. Every HTTP destination gets a signing secret.
	Destinations string

	HoldAfter time.Duration // the consumer holds messages about states that were older when their event was received; default: the consumer's

	// As the stack's options of these names: an existing table, default one of the local system, and
	// the end of its restore.
	Table, HoldBefore string

	NoReconcile bool // without the reconcile function, which also sends the outbox

	// Between, if set, gets the address of the AWS services or of the fake Stripe and returns
	// the address for the functions. Tests put a proxy there.
	Between func(address string) string

	LogLevel string    // of the functions: debug, info, warn or error; default info
	Log      io.Writer // gets the functions' log lines; default: discarded
}

// maxConcurrency bounds the processes of one function.
const maxConcurrency = 100

// ErrOptions means that options cannot be used; nothing was started.
var ErrOptions = errors.New("wrong options")

func (o Options) withDefaults() Options {
	o.Listen = cmp.Or(o.Listen, "127.0.0.1:4242")
	o.AWSListen = cmp.Or(o.AWSListen, "127.0.0.1:4566")
	o.Data = cmp.Or(o.Data, ".tollgate")
	o.Table = cmp.Or(o.Table, TableName)
	o.TimeScale = cmp.Or(o.TimeScale, 1)
	o.MaxReceives = cmp.Or(o.MaxReceives, limits.AWS().MaxReceives)
	o.IngestConcurrency = cmp.Or(o.IngestConcurrency, 8)
	o.ConsumerConcurrency = cmp.Or(o.ConsumerConcurrency, 4)
	o.LogLevel = cmp.Or(o.LogLevel, "info")
	if o.Log == nil {
		o.Log = io.Discard
	}
	return o
}

func (o Options) validate() error {
	var errs []error
	between := func(name string, n, low, high int) {
		if n < low || n > high {
			errs = append(errs, fmt.Errorf("%s %d is not in %d to %d", name, n, low, high))
		}
	}
	if o.HoldAfter != 0 && o.HoldAfter < time.Minute {
		errs = append(errs, fmt.Errorf("hold after %v is under a minute", o.HoldAfter))
	}
	between("time scale", o.TimeScale, 1, limits.MaxTimeScale)
	between("max receives", o.MaxReceives, 2, limits.SQSMaxReceives)
	between("ingest concurrency", o.IngestConcurrency, 1, maxConcurrency)
	between("consumer concurrency", o.ConsumerConcurrency, 1, maxConcurrency)
	_, destinations := o.destinations()
	errs = append(errs, config.CheckReconcile(o.Endpoints, o.Reconcile, o.Begin), config.CheckTime("hold-before", o.HoldBefore), destinations)
	for _, address := range []string{o.Listen, o.AWSListen} {
		if err := onLoopback(address); err != nil {
			errs = append(errs, err)
		}
	}
	if o.Functions == "" {
		errs = append(errs, errors.New("no folder of function binaries"))
	}
	if live(o.APIKey) && !o.AllowLive {
		errs = append(errs, errors.New("the Stripe API key is a live key: use a test key, or give --allow-live"))
	}
	for _, s := range o.WebhookSecrets {
		if fault := registration.FaultOf(s); fault != "" {
			errs = append(errs, errors.New("a webhook secret cannot be used: "+fault))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return errors.New(strings.ReplaceAll(err.Error(), "\n", "; ")) // one line, like every start error
	}
	return nil
}

// endpointNames are the default endpoint and those that the options name.
func (o Options) endpointNames() []string {
	all, _ := config.ParseEndpoints(o.Endpoints) // validate reports its error
	names := append(slices.Collect(maps.Keys(all)), ingest.DefaultEndpoint)
	slices.Sort(names)
	return slices.Compact(names)
}

// onLoopback checks an address to listen on.
func onLoopback(address string) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("listen on %q: want host:port", address)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return fmt.Errorf("listen on %s: the local system listens on loopback addresses only", address)
	}
	return nil
}

func live(key string) bool {
	return strings.HasPrefix(key, "sk_live_") || strings.HasPrefix(key, "rk_live_")
}

// limits are those of the functions that this system runs.
func (o Options) limits() limits.Limits {
	l := limits.Scaled(o.TimeScale)
	l.MaxReceives = o.MaxReceives
	return l
}
