package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
)

// isTerminal reports whether somebody may be typing at a file. Other devices pass too:
// they end at once.
func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// typed returns what read gives, or the context's error as soon as that ends: a read of a
// terminal or a pipe cannot be called off, so it is left behind.
func typed[T any](ctx context.Context, read func() (T, error)) (T, error) {
	type answer struct {
		got T
		err error
	}
	answers := make(chan answer, 1)
	go func() {
		got, err := read()
		answers <- answer{got, err}
	}()
	select {
	case a := <-answers:
		return a.got, a.err
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	}
}

// readLine reads one line with its end, or what there is before the end of the file. It
// stops when it has more than most bytes.
func readLine(from io.Reader, most int) (string, error) {
	var line []byte
	one := make([]byte, 1) // no byte beyond the line is taken from a terminal
	for len(line) <= most {
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

// hideTyping turns a terminal's echo off and returns what turns it on. Where that cannot
// be done what is typed is seen by who types it. No interrupt ends the command before the
// echo is on again, and none that the terminal sends to stty too leaves it off.
func hideTyping(terminal *os.File) (show func()) {
	held := make(chan os.Signal, 1)
	signal.Notify(held, os.Interrupt, syscall.SIGTERM)
	_ = stty(terminal, "-echo") // there may be no stty
	return func() {
		defer signal.Stop(held)
		for range maxEchoTries {
			end, ok := errors.AsType[*exec.ExitError](stty(terminal, "echo"))
			if !ok || end.Exited() {
				return
			}
		}
	}
}

// maxEchoTries is more often than anybody presses Ctrl-C while the echo is turned on.
const maxEchoTries = 20

func stty(terminal *os.File, mode string) error {
	cmd := exec.Command("stty", mode)
	cmd.Stdin = terminal
	return cmd.Run()
}
