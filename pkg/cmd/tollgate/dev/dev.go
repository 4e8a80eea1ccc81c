// Package dev has the verbs for the local system: run it, reach it with AWS's tools, send it events.
package dev

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/local"
)

// Dev runs the whole system on this machine until it is interrupted.
type Dev struct {
	Listen      string        `default:"127.0.0.1:4242" help:"Where deliveries are posted (loopback). Default: 127.0.0.1:4242." placeholder:"HOST:PORT"`
	AWSListen   string        `name:"aws-listen" default:"127.0.0.1:4566" help:"Address of the embedded SQS, DynamoDB and Secrets Manager (loopback). Default: 127.0.0.1:4566." placeholder:"HOST:PORT"`
	Functions   string        `help:"Folder of the function binaries. Default: next to this command." placeholder:"DIR"`
	TimeScale   int           `default:"1" help:"Divide every delay of queue and consumer by this factor."`
	MaxReceives int           `help:"Receives before a message is a dead letter. Default: as on AWS."`
	AllowLive   bool          `help:"Accept a live Stripe API key."`
	Ingest      int           `default:"8" help:"Ingest processes at once."`
	Consumers   int           `default:"4" help:"Consumer processes at once."`
	Endpoints   string        `help:"JSON: which events each endpoint takes, in the form of the stack's option endpoints. Each endpoint gets a signing secret." placeholder:"JSON"`
	Reconcile   string        `help:"JSON: the accounts that reconcile lists, and their endpoints." placeholder:"JSON"`
	Begin       string        `help:"RFC 3339 time before which reconcile compares nothing." placeholder:"TIME"`
	HoldAfter   time.Duration `default:"24h" help:"Hold messages about states that were older when their event was received. Default: 24h." placeholder:"DURATION"`

	Table      string `help:"Existing table to use, such as a copy of an earlier state. Default: the system's own." placeholder:"NAME"`
	HoldBefore string `help:"RFC 3339 time, the end of the table's restore: messages about states before it are held." placeholder:"TIME"`

	Destinations string `help:"JSON file with the receivers of messages and events, in the form of the stack's option destinations." placeholder:"FILE"`
	SendTo       string `help:"Send every message and event to this URL, the destination listen; for example http://127.0.0.1:4300 for tollgate listen." placeholder:"URL"`

	ConsoleListen string `help:"Address of the console (loopback). Default: 127.0.0.1:4243, or a free port if it is in use." placeholder:"HOST:PORT"`

	// OpenConsole serves the console of the running system; nil serves none.
	OpenConsole func(ctx context.Context, a *verb.App, listen string) (link string, stop func() error, err error) `kong:"-"`

	NoReconcile bool   `help:"Run no reconcile function: missed events are not found, and nothing is sent from the outbox."`
	LogLevel    string `default:"info" enum:"debug,info,warn,error" help:"Log level of the functions: debug, info, warn or error."`
}

func (Dev) Help() string {
	return `Runs ingest, queue, consumer, table, secrets and a fake Stripe. All durable data is in the data folder, which the other verbs use to find the system. The console's link is printed. With STRIPE_API_KEY objects are fetched from Stripe itself. Ctrl-C stops it; a second one stops it at once.

  tollgate dev
  tollgate dev --listen 127.0.0.1:0 --aws-listen 127.0.0.1:0 --time-scale 60
  tollgate dev --endpoints '{"connect-eu":{"accounts":["acct_eu"],"on_mismatch":"ignore"},"connect-us":{"accounts":["acct_us"]}}'
  tollgate dev --send-to http://127.0.0.1:4300
  STRIPE_API_KEY=sk_test_… STRIPE_WEBHOOK_SECRET=whsec_… tollgate dev

GET /metrics of the address of --listen has the counts in Prometheus' format. With --destinations or --send-to messages and events are sent on. Mails are written to the folder mail of the data folder. Signing secrets are made at the first start and printed.`
}

// stopTimeout bounds the stop; unfinished messages are still in the queue.
const stopTimeout = 15 * time.Second

// garbagePercent collects garbage seldom: the live heap is a few megabytes.
const garbagePercent = 400

// Run starts the system, prints how to reach it and runs until an interrupt or a failure.
func (c *Dev) Run(ctx context.Context, a *verb.App) error {
	switch {
	case a.Stack != "":
		return verb.Usage("dev runs a local system: leave --stack out")
	case c.HoldAfter <= 0:
		return verb.Usage("--hold-after is over 0")
	case c.TimeScale < 1 || c.Ingest < 1 || c.Consumers < 1:
		return verb.Usage("--time-scale, --ingest and --consumers are 1 or more")
	}
	destinations, err := c.destinations()
	if err != nil {
		return err
	}
	folder := c.Functions
	if folder == "" {
		self, err := os.Executable()
		if err != nil {
			return fmt.Errorf("find function binaries: %w", err)
		}
		folder = filepath.Dir(self)
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(garbagePercent)
	}
	s, err := local.Start(ctx, local.Options{
		Listen: c.Listen, AWSListen: c.AWSListen, Data: a.Data, Functions: folder,
		WebhookSecrets: verb.Split(string(a.Env.WebhookSecret)), APIKey: string(a.Env.APIKey), AllowLive: c.AllowLive,
		TimeScale: c.TimeScale, MaxReceives: c.MaxReceives,
		IngestConcurrency: c.Ingest, ConsumerConcurrency: c.Consumers, NoReconcile: c.NoReconcile,
		Endpoints: c.Endpoints, Reconcile: c.Reconcile, Begin: c.Begin, HoldAfter: c.HoldAfter, Table: c.Table, HoldBefore: c.HoldBefore, Destinations: destinations,
		LogLevel: c.LogLevel, Log: a.Err,
	})
	if errors.Is(err, local.ErrOptions) {
		return verb.Usage("%v", err)
	}
	if err != nil {
		return err
	}
	closeConsole, failure := c.console(ctx, a, s)
	if failure == nil {
		c.ready(a, s.Info)
		failure = watch(ctx, a, s)
	}
	failure = errors.Join(failure, closeConsole())
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	if err := s.Close(stop); err != nil && failure == nil {
		failure = fmt.Errorf("stop: %w", err)
	}
	return failure
}

// console serves the console, and writes its link where the verb console finds it.
func (c *Dev) console(ctx context.Context, a *verb.App, s *local.System) (stop func() error, err error) {
	stop = func() error { return nil }
	if c.OpenConsole == nil {
		return stop, nil
	}
	link, stopConsole, err := c.OpenConsole(ctx, a, c.ConsoleListen)
	if err != nil {
		return stop, err
	}
	return stopConsole, s.HasConsole(link)
}

const countsEvery = 10 * time.Second

// watch prints the counts until the system is interrupted or fails.
func watch(ctx context.Context, a *verb.App, s *local.System) error {
	tick := time.NewTicker(countsEvery)
	defer tick.Stop()
	shown := ""
	show := func() {
		if now := s.Counts().String(); now != shown {
			shown = now
			fmt.Fprintf(a.Err, "%s counts: %s\n", time.Now().UTC().Format("15:04:05Z"), now)
		}
	}
	defer show()
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-s.Failed():
			return err
		case <-tick.C:
			show()
		}
	}
}

func (c *Dev) ready(a *verb.App, i local.Info) {
	if a.JSON {
		a.Object(i)
		return
	}
	next := "tollgate send invoice.paid"
	if self, err := os.Executable(); err == nil {
		next = strings.Replace(next, "tollgate", relative(self), 1)
	}
	if a.Data != verb.DefaultData {
		next += " --data " + a.Data
	}
	fmt.Fprintf(a.Out, "tollgate is ready: %s  secret %s  aws %s  try: %s\n", i.URL, i.Secret, i.Endpoint, next)
	if i.Console != "" {
		fmt.Fprintf(a.Out, "console: %s\n", i.Console)
	}
	for _, name := range slices.Sorted(maps.Keys(i.DestinationSecrets)) {
		fmt.Fprintf(a.Out, "sends to %s  secret %s\n", name, i.DestinationSecrets[name])
	}
}

// sendTo is the destination of --send-to.
const sendTo = "listen"

// destinations returns the configured destinations as JSON, "" for none.
func (c *Dev) destinations() (string, error) {
	switch {
	case c.Destinations != "" && c.SendTo != "":
		return "", verb.Usage("--send-to is a destination of its own: write it into the file of --destinations")
	case c.SendTo != "":
		raw, err := json.Marshal(map[string]any{sendTo: map[string]any{
			"type": "http", "url": c.SendTo, "secret": "tollgate/destinations/" + sendTo, "messages": []string{"*"}, "events": []string{"*"},
			"insecure_http": strings.HasPrefix(c.SendTo, "http:"), "allow": []string{"127.0.0.0/8", "::1/128"},
		}})
		return string(raw), err
	case c.Destinations == "":
		return "", nil
	}
	raw, err := os.ReadFile(c.Destinations)
	if err != nil {
		return "", verb.Usage("--destinations: %v", err)
	}
	if len(raw) == 0 {
		return "", verb.Usage("--destinations: %s is empty", c.Destinations)
	}
	return string(raw), nil
}

// relative returns a path relative to the working folder if the file is below it.
func relative(path string) string {
	if here, err := os.Getwd(); err == nil {
		if r, err := filepath.Rel(here, path); err == nil && !strings.HasPrefix(r, "..") {
			return r
		}
	}
	return path
}

// Env prints the environment variables that AWS tools need for the local system.
type Env struct{}

func (Env) Help() string {
	return `The embedded AWS services accept only the access key of their data folder, so that other users of this machine cannot read the secrets. env prints the key and the address as export lines for a shell.

  eval "$(tollgate env)"
  aws dynamodb scan --table-name tollgate`
}

// Run prints one export line for each variable, or one JSON object of them.
func (Env) Run(ctx context.Context, a *verb.App) error {
	if a.Stack != "" {
		return verb.Usage("env is for a local system: leave --stack out")
	}
	i, err := a.LocalInfo(ctx)
	if err != nil {
		return err
	}
	env := i.AWSEnv()
	if a.JSON {
		a.Object(env)
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(env)) {
		fmt.Fprintf(a.Out, "export %s='%s'\n", name, env[name])
	}
	return nil
}
