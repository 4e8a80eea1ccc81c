package main

import (
	"bufio"
	"fmt"
	"os"
	"strings"
)

// confirm says what is going to be changed where, and asks unless the system is a local
// one or yes was given. Without a terminal to ask at it refuses.
func (a *app) confirm(t target, what string, yes bool) error {
	fmt.Fprintf(a.err, "%s: %s\n", t.name, what)
	if yes || t.local {
		return nil
	}
	info, err := os.Stdin.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return usage("this changes %s: give --yes when nobody can be asked", t.name)
	}
	fmt.Fprint(a.err, "Go on? [y/N] ")
	answer, err := bufio.NewReader(os.Stdin).ReadString('\n')
	if err != nil && answer == "" { // a device that is no terminal, such as /dev/null
		return usage("this changes %s: give --yes when nobody can be asked", t.name)
	}
	if !strings.EqualFold(strings.TrimSpace(answer), "y") {
		return usage("stopped: nothing was changed")
	}
	return nil
}
