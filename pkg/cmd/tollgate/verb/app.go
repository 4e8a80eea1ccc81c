// Package verb is what all verbs of the command share: the target system, output for
// people and for machines, prompts, the audit trail, errors with a hint and exit codes.
//
// A verb is a struct with flags as kong's struct tags, a Help method and a method
// Run(context.Context, *App) error. It prints its result to App.Out, progress and warnings to
// App.Err, and returns an error made with [Usage] or [Hint] where that helps. [Run]
// parses arguments, runs the verb and returns the exit code.
package verb

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"tollgate/pkg/config"
)

// Globals are the flags of every verb. A command line embeds them.
type Globals struct {
	Release string `kong:"-"` // of the command, printed by --version

	Version kong.VersionFlag `help:"Print the version."`

	JSON    bool   `help:"Print JSON: one object, or one per line for lists."`
	Verbose bool   `short:"v" help:"Print the audit entries of a change on stderr."`
	Stack   string `help:"CloudFormation stack to work on, for example tollgate-live. Default: what TOLLGATE_TABLE, TOLLGATE_QUEUE_URL and TOLLGATE_DLQ_URL name, else the local system." placeholder:"NAME"`
	Data    string `default:".tollgate" help:"Data folder of the local system. Default: .tollgate." placeholder:"DIR"`
}

func (g *Globals) globals() *Globals { return g }

// DefaultData is the default of --data.
const DefaultData = ".tollgate"

// CommandLine is a pointer to a struct of verbs that embeds [Globals].
type CommandLine interface{ globals() *Globals }

// Main runs the command line of this process and ends the process.
func Main(line CommandLine) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second interrupt ends a verb that is slow to stop
	os.Exit(Run(ctx, line, os.Args[1:], os.LookupEnv, Streams{os.Stdin, os.Stdout, os.Stderr}))
}

// parsed ends kong's own exits (--help) without ending the process.
type parsed struct{ code int }

// Run parses the arguments into line, runs the verb and returns the exit code. env looks up
// a variable of the environment, as os.LookupEnv does.
func Run(ctx context.Context, line CommandLine, args []string, env func(string) (string, bool), s Streams) (code int) {
	defer func() {
		switch p := recover().(type) {
		case nil:
		case parsed:
			code = p.code
		default:
			panic(p) // a bug must not look like success
		}
	}()
	a := &App{Streams: s, JSON: slices.Contains(args, "--json"), reach: &reach{}}
	k, err := parser(ctx, line, s).Parse(args)
	if err != nil {
		return a.fail(&hintError{&usageError{err.Error()}, helpOf(err)})
	}
	if a.Env, err = config.LoadCommand(env); err != nil {
		return a.fail(&usageError{err.Error()})
	}
	g := line.globals()
	a.JSON, a.Verbose, a.Stack, a.Data, a.Version = g.JSON, g.Verbose, g.Stack, g.Data, g.Release
	if err := k.Run(a); err != nil {
		return a.fail(err)
	}
	return ExitDone
}

func parser(ctx context.Context, line CommandLine, s Streams) *kong.Kong {
	k, err := kong.New(line,
		kong.Name("tollgate"),
		kong.Vars{"version": line.globals().Release + " " + runtime.Version()},
		kong.Description("Receives Stripe's webhooks on AWS and turns each one into its business effect exactly once.\n\nExit code 0: done. 1: failed, or something was found. 2: wrong use, nothing was changed."),
		kong.Writers(s.Out, s.Err),
		kong.Exit(func(code int) { panic(parsed{code}) }),
		kong.UsageOnError(),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.BindTo(ctx, (*context.Context)(nil)),
	)
	if err != nil {
		panic(err) // a mistake in the struct tags
	}
	return k
}

func helpOf(err error) string {
	if p, ok := errors.AsType[*kong.ParseError](err); ok && p.Context != nil {
		if verb := p.Context.Selected(); verb != nil {
			unknownReason := strings.Contains(err.Error(), "unknown flag --reason")
			switch {
			case unknownReason && slices.ContainsFunc(verb.Flags, func(f *kong.Flag) bool { return f.Name == "note" }):
				return "--note TEXT gives the reason for a change"
			case unknownReason && wordsOf(verb) == "dlq list":
				return "tollgate redrive --reason REASON --dry-run lists the selected ones"
			}
			return "tollgate " + wordsOf(verb) + " --help lists its arguments and flags"
		}
	}
	return "tollgate --help lists the verbs"
}

func wordsOf(verb *kong.Node) string {
	if verb.Parent == nil || verb.Parent.Type != kong.CommandNode {
		return verb.Name
	}
	return wordsOf(verb.Parent) + " " + verb.Name
}

// Streams are where a verb asks and prints.
type Streams struct {
	In       *os.File // nil means closed
	Out, Err io.Writer
}

// App is what every verb gets.
type App struct {
	Streams
	JSON    bool // print JSON
	Verbose bool // print audit entries on Err
	Stack   string
	Data    string // folder of the local system
	Env     config.Command
	Version string // the command's release

	reach   *reach                                                 // nil records nothing
	ask     func(ctx context.Context, what string, plan any) error // a job's; nil: ask on the terminal
	targets *targetCache                                           // nil looks for the target each time
}

// Exit codes.
const (
	ExitDone   = 0
	ExitFailed = 1
	ExitUsage  = 2
)

type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

// Usage returns an error for wrong use of the command: exit code 2, nothing was changed.
func Usage(format string, args ...any) error { return &usageError{fmt.Sprintf(format, args...)} }

// Between returns an error for wrong use unless a flag's number is in its bounds.
func Between(flag string, n, least, most int) error {
	if n < least || n > most {
		return Usage("%s is %d to %d", flag, least, most)
	}
	return nil
}

// IsUsage reports whether an error means wrong use.
func IsUsage(err error) bool {
	_, ok := errors.AsType[*usageError](err)
	return ok
}

type hintError struct {
	err  error
	hint string
}

func (e *hintError) Error() string { return e.err.Error() }
func (e *hintError) Unwrap() error { return e.err }

// Hint adds to an error what to do next.
func Hint(err error, format string, args ...any) error {
	return &hintError{err, fmt.Sprintf(format, args...)}
}

// HintOf returns the hint of an error, or the one for AWS that cannot be reached, or both.
func (a *App) HintOf(err error) string {
	next := ""
	if h, ok := errors.AsType[*hintError](err); ok {
		next = h.hint
	}
	if unreachable := a.reach.hint(); unreachable != "" {
		next = strings.TrimSuffix(unreachable+"; "+next, "; ")
	}
	return next
}

func (a *App) fail(err error) int {
	text, next := a.Failure(err)
	if a.JSON {
		line, _ := json.Marshal(map[string]string{"error": text, "hint": next})
		fmt.Fprintf(a.Err, "%s\n", line)
	} else {
		fmt.Fprintf(a.Err, "tollgate: %s\n", text)
		if next != "" {
			fmt.Fprintf(a.Err, "  %s\n", next)
		}
	}
	if IsUsage(err) {
		return ExitUsage
	}
	return ExitFailed
}
