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
	"strings"

	"tollgate/pkg/config"
)

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

	reach *reach // nil records nothing
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
	text := strings.ReplaceAll(err.Error(), context.Canceled.Error(), "interrupted") // only Ctrl-C cancels a verb
	next := a.HintOf(err)
	if a.JSON {
		line, _ := json.Marshal(struct {
			Error string `json:"error"`
			Hint  string `json:"hint"`
		}{text, next})
		fmt.Fprintf(a.Err, "%s\n", line)
	} else {
		fmt.Fprintf(a.Err, "tollgate: %s\n", strings.TrimSpace(text))
		if next != "" {
			fmt.Fprintf(a.Err, "  %s\n", next)
		}
	}
	if IsUsage(err) {
		return ExitUsage
	}
	return ExitFailed
}
