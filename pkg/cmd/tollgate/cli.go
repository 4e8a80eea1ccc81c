package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"

	"github.com/alecthomas/kong"

	"tollgate/pkg/config"
)

// cli is the whole command line; each verb is a file of its own.
type cli struct {
	Version kong.VersionFlag `help:"Print the version."`

	JSON  bool   `help:"Print JSON: one object, or one per line for lists."`
	Stack string `help:"CloudFormation stack to work on, for example tollgate-live. Default: what TOLLGATE_TABLE, TOLLGATE_QUEUE_URL and TOLLGATE_DLQ_URL name, else the local system." placeholder:"NAME"`
	Data  string `default:".tollgate" help:"Data folder of the local system. Default: .tollgate." placeholder:"DIR"`

	Dev    devCmd  `cmd:"" help:"Run the whole system on this machine."`
	Env    envCmd  `cmd:"" help:"Print the environment with which AWS's tools reach the local system."`
	Send   sendCmd `cmd:"" help:"Sign events as Stripe does and post them."`
	Events struct {
		List   eventsListCmd   `cmd:"" help:"List events: failed, dead and retrying ones, or by filter."`
		Show   eventsShowCmd   `cmd:"" help:"Show what is known of one event."`
		Replay eventsReplayCmd `cmd:"" help:"Run done events again."`

		Purge      eventsPurgeCmd      `cmd:"" help:"Give up one event by its id: reconcile no longer sends it."`
		Reidentify eventsReidentifyCmd `cmd:"" help:"Correct a record that was made under another identity."`
	} `cmd:"" help:"What the table knows of events."`
	DLQ struct {
		List   dlqListCmd   `cmd:"" help:"List dead letters, in groups of one cause."`
		Show   dlqShowCmd   `cmd:"" help:"Show one dead letter."`
		Export dlqExportCmd `cmd:"" help:"Write dead letters as JSON lines."`
		Purge  dlqPurgeCmd  `cmd:"" help:"Export dead letters, then delete them."`
	} `cmd:"" name:"dlq" help:"Messages that gave up."`
	Redrive   redriveCmd    `cmd:"" help:"Send dead letters to the queue again."`
	Backfill  backfillCmd   `cmd:"" help:"Enqueue what Stripe's list has and the table lacks."`
	Reconcile reconcileCmds `cmd:"" help:"What reconcile has proved."`
	Outbox    outboxCmds    `cmd:"" help:"Messages that handlers requested: held, or not sent yet."`
	Endpoint  endpointCmds  `cmd:"" help:"Stripe's webhook endpoint of this system."`
	Secret    secretCmds    `cmd:"" help:"The signing secret."`
	Ledger    ledgerCmds    `cmd:"" help:"The billing ledger that the handlers keep."`
	Audit     auditCmds     `cmd:"" help:"Who changed what, and why."`
	Doctor    doctorCmd     `cmd:"" help:"Check what breaks such systems, and say what to do."`
}

// app is what every verb shares.
type app struct {
	streams
	json  bool
	stack string
	data  string
	env   config.Command
	reach *reach // nil notes nothing
}

// Exit codes.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

// usageError is a wrong use of the command: exit code 2.
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

func usage(format string, args ...any) error { return &usageError{fmt.Sprintf(format, args...)} }

// hintError is an error with what to do next.
type hintError struct {
	err  error
	hint string
}

func (e *hintError) Error() string { return e.err.Error() }
func (e *hintError) Unwrap() error { return e.err }

func hint(err error, format string, args ...any) error {
	return &hintError{err, fmt.Sprintf(format, args...)}
}

// parsed ends kong's own exits (--help) without ending the process.
type parsed struct{ code int }

// run parses the arguments, runs the verb and returns the exit code.
func run(ctx context.Context, args []string, env lookup, s streams) (code int) {
	defer func() {
		switch p := recover().(type) {
		case nil:
		case parsed:
			code = p.code
		default:
			panic(p) // a fault of ours must not look like success
		}
	}()
	var c cli
	parser, err := kong.New(&c,
		kong.Name("tollgate"),
		kong.Vars{"version": version()},
		kong.Description("Receives Stripe's webhooks on AWS and turns each one into its business effect exactly once.\n\nExit code 0: done. 1: failed, or something was found. 2: wrong use, nothing was changed."),
		kong.Writers(s.out, s.err),
		kong.Exit(func(code int) { panic(parsed{code}) }),
		kong.UsageOnError(),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.BindTo(ctx, (*context.Context)(nil)),
	)
	if err != nil {
		panic(err) // a mistake in the struct tags above
	}
	a := &app{streams: s, json: wantsJSON(args), reach: &reach{}}
	k, err := parser.Parse(args)
	if err != nil {
		return a.fail(&hintError{&usageError{err.Error()}, helpOf(err)})
	}
	if a.env, err = config.LoadCommand(env); err != nil {
		return a.fail(&usageError{err.Error()})
	}
	a.json, a.stack, a.data = c.JSON, c.Stack, c.Data
	if err := k.Run(a); err != nil {
		return a.fail(err)
	}
	return exitDone
}

// helpOf names the help that tells what would have been right.
func helpOf(err error) string {
	if p, ok := errors.AsType[*kong.ParseError](err); ok && p.Context != nil {
		if verb := p.Context.Selected(); verb != nil {
			return "tollgate " + wordsOf(verb) + " --help says what it takes"
		}
	}
	return "tollgate --help lists the verbs"
}

// wordsOf are the words by which a verb is called.
func wordsOf(verb *kong.Node) string {
	if verb.Parent == nil || verb.Parent.Type != kong.CommandNode {
		return verb.Name
	}
	return wordsOf(verb.Parent) + " " + verb.Name
}

// version is the module's version, or the commit that it was built from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return info.Main.Version + " " + s.Value
		}
	}
	return info.Main.Version + " " + info.GoVersion
}

// wantsJSON is for errors before the arguments are understood.
func wantsJSON(args []string) bool {
	for _, s := range args {
		if s == "--json" {
			return true
		}
	}
	return false
}

// fail prints the error with what to do next and returns the exit code.
func (a *app) fail(err error) int {
	text, next := strings.ReplaceAll(err.Error(), context.Canceled.Error(), "interrupted"), "" // by Ctrl-C: nothing else cancels a verb
	if h, ok := errors.AsType[*hintError](err); ok {
		next = h.hint
	}
	if silent := a.reach.hint(); silent != "" {
		next = strings.TrimSuffix(silent+"; "+next, "; ")
	}
	if a.json {
		line, _ := json.Marshal(struct {
			Error string `json:"error"`
			Hint  string `json:"hint"`
		}{text, next})
		fmt.Fprintf(a.err, "%s\n", line)
	} else {
		fmt.Fprintf(a.err, "tollgate: %s\n", strings.TrimSpace(text))
		if next != "" {
			fmt.Fprintf(a.err, "  %s\n", next)
		}
	}
	if _, ok := errors.AsType[*usageError](err); ok {
		return exitUsage
	}
	return exitFailed
}
