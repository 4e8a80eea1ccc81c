// Command measure measures the real programs: how soon a function starts, and what the whole
// local system takes, next to a function that does nothing and to a server that does the least.
//
//	measure cold -dir .build/host
//	measure e2e -dir .build/host -for 10s
//	measure send -dir .build/host -rate 200
//
// Every address is on loopback, every program that it starts it also ends.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strings"
	"time"
)

func main() {
	verbs := map[string]func(context.Context, []string) error{"cold": cold, "e2e": e2e, "durable": durable, "send": send}
	if len(os.Args) < 2 || verbs[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "measure cold|e2e|send|durable -h")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := verbs[os.Args[1]](ctx, os.Args[2:]); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "measure:", err)
		os.Exit(1)
	}
}

// Result is one line of the results file.
type Result struct {
	Time    time.Time `json:"time"`
	Commit  string    `json:"commit"`  // with "+" if files differ from it
	Machine string    `json:"machine"` // CPU, cores, system and Go version
	Figure  string    `json:"figure"`
	Value   float64   `json:"value"`
	Unit    string    `json:"unit"`
}

// results prints figures and appends them to a file.
type results struct {
	out             io.Writer
	commit, machine string
	all             []Result
}

func newResults(path string) (*results, error) {
	r := &results{out: io.Discard, commit: "unknown", machine: machine()}
	if raw, err := exec.Command("git", "describe", "--always", "--dirty=+", "--exclude=*").Output(); err == nil {
		r.commit = strings.TrimSpace(string(raw))
	}
	if path == "" {
		return r, nil
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open results: %w", err)
	}
	r.out = f
	return r, nil
}

func (r *results) add(figure string, value float64, unit string) {
	one := Result{time.Now().UTC().Truncate(time.Second), r.commit, r.machine, figure, value, unit}
	r.all = append(r.all, one)
	fmt.Printf("%-58s %12s %s\n", figure, digits(value), unit)
	if err := json.NewEncoder(r.out).Encode(one); err != nil {
		fmt.Fprintln(os.Stderr, "measure: write results:", err)
	}
}

func machine() string {
	cpu := runtime.GOARCH
	if f, err := os.Open("/proc/cpuinfo"); err == nil {
		defer f.Close()
		for lines := bufio.NewScanner(f); lines.Scan(); {
			if name, value, _ := strings.Cut(lines.Text(), ":"); strings.TrimSpace(name) == "model name" {
				cpu = strings.TrimSpace(value)
				break
			}
		}
	}
	return fmt.Sprintf("%s, %d cores, %s/%s, %s", cpu, runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version())
}

// digits has three digits, or all of those before the point.
func digits(value float64) string {
	if value >= 100 {
		return fmt.Sprintf("%.0f", value)
	}
	return fmt.Sprintf("%.3g", value)
}
