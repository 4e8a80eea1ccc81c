// Package local runs all of Tollgate on one machine: an HTTP server in place of API
// Gateway, the real function binaries over Lambda's Runtime API, a poller in place of the
// event source mapping, durable SQS, DynamoDB and Secrets Manager over the AWS JSON
// protocols, and a fake Stripe.
//
// Everything listens on loopback. The functions are the same as on AWS; only their
// endpoints differ. Requests from web pages are refused. The AWS services require the data
// folder's access key; the HTTP server and the fake Stripe serve every local program. It is
// for development and tests, not for production: it keeps one copy of the data.
//
//	s, err := local.Start(ctx, local.Options{Functions: ".build/host"})
//	err = <-s.Failed()      // until something fails
//	err = s.Close(ctx)
package local

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"tollgate/pkg/limits"
	"tollgate/pkg/local/aws/awsjson"
	"tollgate/pkg/local/aws/lambda"
	"tollgate/pkg/local/eventsource"
	"tollgate/pkg/local/gateway"
	"tollgate/pkg/local/loopback"
	"tollgate/pkg/local/stripe"
)

// System is a running local system.
type System struct {
	Info Info

	options    Options
	services   *services
	fakeStripe *stripe.Fake
	functions  functions
	poller     *background
	senders    []*background // one for each group of destinations
	schedule   *background
	levels     *background // of the queues
	// One server each: deliveries, the AWS services, the fake Stripe.
	server, aws, stripe *http.Server

	failed chan error // a server that failed
	close  sync.Once
	err    error
}

// Start starts the system and returns when it accepts deliveries. An error is one line, and
// nothing is left running.
func Start(ctx context.Context, o Options) (*System, error) {
	o = o.withDefaults()
	if err := o.validate(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrOptions, err)
	}
	if err := haveFunctions(o); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(o.Data, 0o700); err != nil {
		return nil, fmt.Errorf("make data folder: %w", err)
	}
	s := &System{options: o, failed: make(chan error, 3)}
	if err := s.start(ctx); err != nil {
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		s.Close(stop) // what has started; err has the cause
		return nil, err
	}
	return s, nil
}

func (s *System) start(ctx context.Context) error {
	deliveries, err := listen(s.options.Listen)
	if err != nil {
		return err
	}
	if err := s.startServices(ctx); err != nil {
		deliveries.Close()
		return err
	}
	if err := s.startFunctions(deliveries); err != nil {
		deliveries.Close()
		return err
	}
	return s.Info.write(s.options.Data)
}

// HasConsole writes the link of the system's console to its description.
func (s *System) HasConsole(link string) error {
	s.Info.Console = link
	return s.Info.write(s.options.Data)
}

// startServices opens the data folder, serves it and creates the resources.
func (s *System) startServices(ctx context.Context) (err error) {
	if s.services, err = openServices(s.options.Data, s.options.TimeScale, consumerMapping(s.options)); err != nil {
		return err
	}
	if s.Info.AccessKey, err = accessKey(s.options.Data); err != nil {
		return err
	}
	s.aws = s.services.server(s.Info.AccessKey)
	address, err := s.serve(s.options.AWSListen, s.aws)
	if err != nil {
		return err
	}
	s.Info.Endpoint, s.Info.PID = "http://"+address, os.Getpid()
	if err = clients(s.Info, s.aws.Handler).prepare(ctx, s.options, &s.Info); err != nil {
		return err
	}
	if s.options.APIKey != "" {
		return nil
	}
	s.fakeStripe, err = stripe.Open(stripe.Options{
		Path: filepath.Join(s.options.Data, "stripe.db"), DeliveryScale: s.options.TimeScale,
	})
	if err != nil {
		return err
	}
	s.stripe = &http.Server{Handler: loopback.Programs(s.fakeStripe), ReadHeaderTimeout: 10 * time.Second}
	address, err = s.serve("127.0.0.1:0", s.stripe)
	s.Info.StripeURL = "http://" + address
	return err
}

// startFunctions starts the functions between the HTTP server and the queue.
func (s *System) startFunctions(deliveries net.Listener) (err error) {
	seen := s.Info
	if between := s.options.Between; between != nil {
		seen.Endpoint, seen.StripeURL = between(seen.Endpoint), between(seen.StripeURL)
	}
	if s.functions, err = newFunctions(s.options, seen, s.services.logs); err != nil {
		return err
	}
	if s.poller, err = startPoller(s.functions, s.services.sqs.Queue(s.Info.QueueURL), s.services.mappings, s.options); err != nil {
		return err
	}
	if s.senders, err = startSenders(s.functions, s.queue, s.options); err != nil {
		return err
	}
	s.schedule = startSchedule(s.functions.reconcile, s.options)
	s.levels = inBackground(func(ctx context.Context) error {
		return measure(ctx, s.functions.series, s.services.sqs.Queue(s.Info.QueueURL), s.services.sqs.Queue(s.Info.DLQURL))
	})
	g, err := gateway.New(gateway.Options{
		Routes:  []string{limits.WebhookPath, limits.WebhookPath + "/{endpoint}"},
		Invoker: s.functions.ingestInvoker(&rememberDeliveries{fakeStripe: s.fakeStripe, stored: clients(s.Info, s.aws.Handler).storedSecrets}),
	})
	if err != nil {
		return err
	}
	s.Info.URL = "http://" + deliveries.Addr().String() + limits.WebhookPath
	s.server = g.Server()
	if s.server.Handler, err = historyFront(s.server.Handler, s.functions.history); err != nil {
		return err
	}
	s.server.Handler = loopback.BlockBrowsers(withCounts(s.server.Handler, map[string]http.Handler{
		"/metrics": s.functions.metrics.Handler(), SeriesPath: serveSeries(s.functions.series),
	}))
	s.run(deliveries, s.server)
	return nil
}

// withCounts serves what was counted to programs on this machine, such as Prometheus, not through a tunnel.
func withCounts(front http.Handler, counts map[string]http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if h := counts[r.URL.Path]; r.Method == http.MethodGet && h != nil {
			loopback.Programs(h).ServeHTTP(w, r)
			return
		}
		front.ServeHTTP(w, r)
	})
}

// queue is the queue of deliveries of a name, without requests.
func (s *System) queue(name string) eventsource.Queue {
	return s.services.sqs.Queue(strings.TrimSuffix(s.Info.SendDLQURL, sendDeadQueue) + name)
}

// listen returns a one-line error with a hint if the port is in use.
func listen(address string) (net.Listener, error) {
	if err := onLoopback(address); err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("port in use: %s is taken by another process; stop it or choose another with --listen or --aws-listen", address)
	}
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", address, err)
	}
	return l, nil
}

func (s *System) serve(address string, server *http.Server) (string, error) {
	l, err := listen(address)
	if err != nil {
		return "", err
	}
	s.run(l, server)
	return l.Addr().String(), nil
}

func (s *System) run(l net.Listener, server *http.Server) {
	go func() {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			s.failed <- fmt.Errorf("serve %s: %w", l.Addr(), err)
		}
	}()
}

// Failed returns the errors of servers that failed; the system should then be closed.
func (s *System) Failed() <-chan error { return s.failed }

// Counts returns the functions' metrics so far.
func (s *System) Counts() *Counts { return s.functions.counts }

// Close stops the parts in the order in which events flow, so that each can finish its work:
// the HTTP server, the poller with its batches, the functions, the services. When the context
// ends the rest is stopped at once; nothing is lost, because the messages are in the queue.
func (s *System) Close(ctx context.Context) error {
	s.close.Do(func() { s.err = s.shutdown(ctx) })
	return s.err
}

func (s *System) shutdown(ctx context.Context) error {
	stopServer(ctx, s.server)
	errs := append([]error{s.levels.stop(ctx), s.schedule.stop(ctx), s.poller.stop(ctx)}, stopAll(ctx, s.senders)...)
	errs = append(errs, s.functions.close(ctx))
	stopServer(ctx, s.stripe)
	if s.fakeStripe != nil {
		errs = append(errs, s.fakeStripe.Close())
	}
	stopServer(ctx, s.aws)
	if s.services != nil {
		errs = append(errs, s.services.close())
		os.Remove(filepath.Join(s.options.Data, InfoFile))
	}
	return errors.Join(errs...)
}

// stopServer lets a server finish its requests until the context ends.
func stopServer(ctx context.Context, server *http.Server) {
	if server != nil && server.Shutdown(ctx) != nil {
		server.Close()
	}
}

// consumerMapping is the event source mapping of the queue of events.
func consumerMapping(o Options) lambda.Mapping {
	return lambda.Mapping{
		UUID: "5f0d1c52-8a67-4c3e-9d0a-70116a7e0001", EventSourceARN: awsjson.ARN("sqs", queueName),
		FunctionARN: awsjson.ARN("lambda", "function:tollgate-consumer"), BatchSize: o.limits().BatchSize, MaximumConcurrency: o.ConsumerConcurrency,
	}
}

// startPoller runs the event source while its mapping is enabled.
func startPoller(f functions, queue eventsource.Queue, mappings *lambda.Mappings, o Options) (*background, error) {
	mapping := consumerMapping(o)
	l := o.limits()
	source, err := eventsource.New(eventsource.Options{
		Queue:          queue,
		QueueARN:       mapping.EventSourceARN,
		Invoker:        queueInvoker("consumer", f.consumer),
		BatchSize:      mapping.BatchSize,
		MaxConcurrency: mapping.MaximumConcurrency,

		VisibilityTimeout: l.Visibility,
		DrainTimeout:      l.ConsumerTimeout + time.Second,
	})
	if err != nil {
		return nil, err
	}
	return inBackground(func(ctx context.Context) error { return mappings.Run(ctx, mapping.UUID, source.Run) }), nil
}

// background is a part of the system that runs until it is stopped.
type background struct {
	cancel context.CancelFunc
	done   chan error
}

func inBackground(run func(context.Context) error) *background {
	ctx, cancel := context.WithCancel(context.Background())
	b := &background{cancel: cancel, done: make(chan error, 1)}
	go func() { b.done <- run(ctx) }()
	return b
}

// stop waits for what runs until the context ends. It does nothing if b is nil.
func (b *background) stop(ctx context.Context) error {
	if b == nil {
		return nil
	}
	b.cancel()
	select {
	case err := <-b.done:
		if errors.Is(err, context.Canceled) {
			return nil
		}
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}
