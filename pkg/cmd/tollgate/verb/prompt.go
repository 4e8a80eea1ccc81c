package verb

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"golang.org/x/term"
)

const maxReplyBytes = 64

// Confirm prints what is going to be changed where. It asks unless the system is local or yes
// was given, and refuses when there is no terminal to ask on.
func (a *App) Confirm(ctx context.Context, t Target, what string, yes bool) error {
	fmt.Fprintf(a.Err, "%s: %s\n", t.Name, what)
	if yes || t.Local {
		return nil
	}
	noTerminal := Usage("this changes %s: without a terminal, confirm with --yes", t.Name)
	if !IsTerminal(a.In) {
		return noTerminal
	}
	fmt.Fprint(a.Err, "Continue? [y/N] ")
	answer, err := Interruptible(ctx, func() (string, error) { return ReadLine(a.In, maxReplyBytes) })
	switch {
	case ctx.Err() != nil:
		fmt.Fprintln(a.Err) // after the question and the ^C that the terminal shows
		return fmt.Errorf("%w: nothing was changed", ctx.Err())
	case err != nil || answer == "":
		return noTerminal
	case !slices.Contains([]string{"y", "yes"}, strings.ToLower(strings.TrimSpace(answer))):
		return Usage("stopped: nothing was changed")
	}
	return nil
}

// IsTerminal reports whether a file is a terminal. Nil is none.
func IsTerminal(f *os.File) bool { return f != nil && term.IsTerminal(int(f.Fd())) }

// Interruptible returns what read returns, or the context's error as soon as the context ends.
// A read of a terminal or a pipe cannot be canceled, so it is abandoned.
func Interruptible[T any](ctx context.Context, read func() (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	results := make(chan result, 1)
	go func() {
		value, err := read()
		results <- result{value, err}
	}()
	select {
	case r := <-results:
		return r.value, r.err
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	}
}

// ReadLine reads one line with its end, or what there is before the end of the file. It
// stops after more than limit bytes.
func ReadLine(from io.Reader, limit int) (string, error) {
	var line []byte
	one := make([]byte, 1) // take no byte after the line from a terminal
	for len(line) <= limit {
		n, err := from.Read(one)
		line = append(line, one[:n]...)
		if n == 1 && one[0] == '\n' || errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return "", err
		}
	}
	return string(line), nil
}

// ReadHidden prints a question on a terminal and reads a line without echo. The terminal
// echoes again when it returns, also after an interrupt.
func (a *App) ReadHidden(ctx context.Context, question string) (string, error) {
	fd := int(a.In.Fd())
	state, err := term.GetState(fd)
	if err != nil {
		return "", err
	}
	fmt.Fprint(a.Err, question)
	defer fmt.Fprintln(a.Err)
	defer term.Restore(fd, state)
	return Interruptible(ctx, func() (string, error) {
		line, err := term.ReadPassword(fd)
		return string(line), err
	})
}
