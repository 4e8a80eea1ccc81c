package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// maxReplyBytes bounds what is read as an answer to a question.
const maxReplyBytes = 64

// confirm says what is going to be changed where, and asks unless the system is a local
// one or yes was given. Without a terminal to ask at it refuses.
func (a *app) confirm(ctx context.Context, t target, what string, yes bool) error {
	fmt.Fprintf(a.err, "%s: %s\n", t.name, what)
	if yes || t.local {
		return nil
	}
	alone := usage("this changes %s: give --yes when nobody can be asked", t.name)
	if !isTerminal(a.in) {
		return alone
	}
	fmt.Fprint(a.err, "Go on? [y/N] ")
	answer, err := typed(ctx, func() (string, error) { return readLine(a.in, maxReplyBytes) })
	switch {
	case ctx.Err() != nil:
		fmt.Fprintln(a.err) // behind the question, and the ^C that the terminal shows
		return fmt.Errorf("%w: nothing was changed", ctx.Err())
	case err != nil || answer == "": // a device that is no terminal, such as /dev/null
		return alone
	case !slices.Contains([]string{"y", "yes"}, strings.ToLower(strings.TrimSpace(answer))):
		return usage("stopped: nothing was changed")
	}
	return nil
}
