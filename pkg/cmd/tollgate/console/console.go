// Package console has the verb for the console, and wires its pages to the other verbs.
package console

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"regexp"
	"slices"
	"time"

	"tollgate/pkg/cmd/tollgate/console/causes"
	"tollgate/pkg/cmd/tollgate/console/check"
	"tollgate/pkg/cmd/tollgate/console/deliveries"
	"tollgate/pkg/cmd/tollgate/console/events"
	"tollgate/pkg/cmd/tollgate/console/fix"
	"tollgate/pkg/cmd/tollgate/console/overview"
	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/console"
)

// Console serves the console until it is interrupted.
type Console struct {
	Listen   string `help:"Address of the pages (loopback). Default: 127.0.0.1:4243, or a free port if it is in use." placeholder:"HOST:PORT"`
	ReadOnly bool   `help:"Refuse every change."`
}

func (Console) Help() string {
	return `Serves pages on this machine: what flows, what is wrong and why, each event's story, and the changes that the other verbs make. Open the printed link in a browser; it is valid until Ctrl-C. tollgate dev serves the console too: for its system this verb prints the link again.

  tollgate console
  tollgate console --stack tollgate-live --read-only

It has the rights of your credentials. Who opens the link has them too, so do not share it.`
}

// Run prints the link and serves. For a local system whose console runs already it prints that link only.
func (c *Console) Run(ctx context.Context, a *verb.App) error {
	if c.Listen == "" && !c.ReadOnly && a.Stack == "" && !a.Env.Named() {
		if i, err := a.LocalInfo(ctx); err == nil && i.Console != "" {
			printLink(a, i.Console)
			return nil
		}
	}
	s, err := Open(ctx, a, *c)
	if err != nil {
		return err
	}
	printLink(a, s.Link())
	select {
	case err = <-s.failed:
	case <-ctx.Done():
	}
	return errors.Join(err, s.Close())
}

func printLink(a *verb.App, link string) {
	a.Line(map[string]string{"url": link}, link)
}

// Serving is a console that is being served.
type Serving struct {
	server *console.Server
	failed chan error
}

const (
	defaultListen = "127.0.0.1:4243"
	stopTimeout   = 15 * time.Second
)

// Open serves the console of a's system until Close.
func Open(ctx context.Context, a *verb.App, c Console) (*Serving, error) {
	l, err := listen(c.Listen)
	if err != nil {
		return nil, err
	}
	a = a.Caching()
	t, err := a.Target(ctx)
	if err != nil {
		l.Close()
		return nil, err
	}
	pages, actions := parts(a)
	s := &Serving{failed: make(chan error, 1)}
	s.server = console.New(ctx, console.Config{
		System: t.Name, Pages: pages, Actions: actions, ReadOnly: c.ReadOnly,
		Describe: describer(a), AuditID: auditID, Log: a.Err,
	})
	s.server.Bind(l.Addr().String())
	go func() { s.failed <- s.server.Serve(l) }()
	return s, nil
}

// OpenLocal serves the console of a local system that runs in this process.
func OpenLocal(ctx context.Context, a *verb.App, address string) (link string, stop func() error, err error) {
	own := *a
	own.Env.Table, own.Env.QueueURL, own.Env.DLQURL = "", "", "" // of another system
	s, err := Open(ctx, &own, Console{Listen: address})
	if err != nil {
		return "", nil, err
	}
	return s.Link(), s.Close, nil
}

// Link opens the console in a browser.
func (s *Serving) Link() string { return s.server.Link() }

// Close ends the console's jobs as Ctrl-C ends a verb, and waits for them.
func (s *Serving) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	return s.server.Close(ctx)
}

// listen listens on loopback, by default on a port that stays the same if it is free.
func listen(address string) (net.Listener, error) {
	if address == "" {
		if l, err := net.Listen("tcp", defaultListen); err == nil {
			return l, nil
		}
		address = "127.0.0.1:0"
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, verb.Usage("the console's address is HOST:PORT: %v", err)
	}
	if host != "localhost" && !net.ParseIP(host).IsLoopback() {
		return nil, verb.Usage("the console listens on loopback only, such as 127.0.0.1: %s is reachable by others", address)
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, verb.Hint(fmt.Errorf("listen for the console: %w", err), "name a free port, or leave the address out")
	}
	return l, nil
}

func describer(a *verb.App) func(error) (int, string) {
	return func(err error) (int, string) {
		if verb.IsUsage(err) {
			return http.StatusBadRequest, a.HintOf(err)
		}
		return http.StatusInternalServerError, a.HintOf(err)
	}
}

var auditLine = regexp.MustCompile(`^audit (\S+): `)

// auditID finds the entry in what a verb prints with --verbose.
func auditID(line string) string {
	if found := auditLine.FindStringSubmatch(line); found != nil {
		return found[1]
	}
	return ""
}

// parts returns all pages, in the order of the navigation, and all actions.
func parts(a *verb.App) ([]console.Page, []console.Action) {
	eventPages, eventActions := events.Parts(a)
	pages := slices.Concat(
		overview.Pages(a),
		eventPages,
		causes.Pages(a),
		deliveries.Pages(a),
		fix.Pages(a),
		check.Pages(a),
	)
	actions := slices.Concat(
		eventActions,
		deliveries.Actions(a),
		fix.Actions(a),
		check.Actions(a),
	)
	return pages, actions
}
