package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"tollgate/pkg/bench"
)

// settings are the flags of e2e.
type settings struct {
	dir, trial, results, document, convoy, sink string
	phase, soak                                 time.Duration
	flight, growth                              int
	rate                                        float64
}

func parse(args []string) (s settings, err error) {
	flags := flag.NewFlagSet("e2e", flag.ContinueOnError)
	flags.StringVar(&s.dir, "dir", ".build/host", "folder of tollgate, the functions and hello")
	flags.StringVar(&s.trial, "trial", ".build/trial", "folder of functions with the consumer of pkg/local/e2e/trialconsumer, for one effect")
	flags.StringVar(&s.results, "results", "", "append the figures to this file")
	flags.StringVar(&s.document, "document", "", "write the table between the markers of this file")
	flags.DurationVar(&s.phase, "for", 10*time.Second, "how long each load runs")
	flags.IntVar(&s.flight, "flight", 64, "deliveries under way in the closed loop")
	flags.Float64Var(&s.rate, "rate", 100, "deliveries a second in the open loop")
	flags.IntVar(&s.growth, "growth", 0, "compare with a table of so many records")
	flags.DurationVar(&s.soak, "soak", 0, "watch the memory under half of -rate for so long")
	flags.StringVar(&s.convoy, "convoy", "", "URL of a source of a Convoy that runs, to compare with")
	flags.StringVar(&s.sink, "sink", "127.0.0.1:0", "address where that Convoy delivers to")
	return s, flags.Parse(args)
}

// measurement is one run of e2e.
type measurement struct {
	settings
	*results
	work   string
	number atomic.Int64
}

func e2e(ctx context.Context, args []string) error {
	s, err := parse(args)
	if err != nil {
		return err
	}
	m := &measurement{settings: s}
	if m.results, err = newResults(s.results); err != nil {
		return err
	}
	if m.work, err = os.MkdirTemp("", "tollgate-bench-"); err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	defer os.RemoveAll(m.work)
	for _, do := range []func(context.Context) error{m.floors, m.whole, m.compare} {
		if err := cmp.Or(do(ctx), ctx.Err()); err != nil {
			return err
		}
	}
	return m.publish()
}

// floors measures what a server of the least and a function of the least accept.
func (m *measurement) floors(ctx context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	for _, f := range []struct {
		name string
		args []string
	}{
		{"bare durable", []string{"durable", "-file", filepath.Join(m.work, "durable")}},
		{"hello behind the front", []string{"front", "-dir", m.dir}},
	} {
		p, err := start(ctx, os.Stderr, self, f.args...)
		if err != nil {
			return err
		}
		l, took, err := m.closedLoop(ctx, p, bench.Ignored)
		p.stop()
		if err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
		m.add(f.name+": accepted", float64(l.accepted)/took.Seconds(), "/s")
	}
	return nil
}

func (m *measurement) closedLoop(ctx context.Context, p *process, typ string) (*load, time.Duration, error) {
	l, err := newLoad(p, typ, &m.number)
	if err != nil {
		return nil, 0, err
	}
	took := l.closed(ctx, m.flight, m.phase)
	return l, took, l.check()
}

// whole measures tollgate dev with events of three kinds, each in a system of its own.
func (m *measurement) whole(ctx context.Context) error {
	for _, kind := range []struct{ name, typ, functions string }{
		{"ignored", bench.Ignored, m.dir},
		{"one effect", "trial.works", m.trial},
		{"invoice.paid", "invoice.paid", m.dir},
	} {
		if err := m.system(ctx, kind.name, kind.typ, kind.functions); err != nil {
			return fmt.Errorf("%s: %w", kind.name, err)
		}
	}
	return nil
}

func (m *measurement) system(ctx context.Context, name, typ, functions string) error {
	done := newDone()
	p, err := start(ctx, done, filepath.Join(m.dir, "tollgate"), "dev", "--json", "--listen", anyPort, "--aws-listen", anyPort,
		"--data", filepath.Join(m.work, strings.ReplaceAll(name, " ", "-")), "--functions", functions)
	if err != nil {
		return err
	}
	defer p.stop()
	if err := m.most(ctx, p, done, name, typ); err != nil {
		return err
	}
	if err := m.latency(ctx, p, done, name, typ); err != nil {
		return err
	}
	if typ != bench.Ignored {
		return nil
	}
	if m.growth > 0 {
		if err := fill(ctx, p, done.last(), m.growth); err != nil {
			return err
		}
		if err := m.most(ctx, p, done, fmt.Sprintf("%s, %d records", name, m.growth), typ); err != nil {
			return err
		}
	}
	return m.soaked(ctx, p, done, typ)
}

// most measures what is accepted and done while the closed loop sends and after it, and the
// CPU time of each program.
func (m *measurement) most(ctx context.Context, p *process, done *done, name, typ string) error {
	before, began := p.usage(), time.Now()
	l, took, err := m.closedLoop(ctx, p, typ)
	if err != nil {
		return err
	}
	last, err := done.all(ctx, l)
	if err != nil {
		return err
	}
	m.add(name+": accepted", float64(l.accepted)/took.Seconds(), "/s")
	m.add(name+": done", float64(l.accepted)/last.Sub(began).Seconds(), "/s")
	after, sum := p.usage(), 0.0
	for _, program := range slices.Sorted(maps.Keys(after)) {
		ms := (after[program].cpu - before[program].cpu).Seconds() * 1000 / float64(l.accepted)
		sum += ms
		m.add(name+": CPU of "+program+" an event", ms, "ms")
		m.add(name+": memory of "+program, after[program].rss, "MB")
	}
	m.add(name+": CPU an event", sum, "ms")
	return nil
}

// latency measures the answer and the end of events that arrive at a fixed rate.
func (m *measurement) latency(ctx context.Context, p *process, done *done, name, typ string) error {
	l, err := newLoad(p, typ, &m.number)
	if err != nil {
		return err
	}
	l.open(ctx, m.rate, m.phase)
	if err := l.check(); err != nil {
		return err
	}
	if _, err := done.all(ctx, l); err != nil {
		return err
	}
	ends := done.latency(l)
	for _, q := range []float64{50, 99} {
		m.add(fmt.Sprintf("%s at %g/s: accepted p%g", name, m.rate, q), float64(l.latency.ValueAtQuantile(q))/1000, "ms")
		m.add(fmt.Sprintf("%s at %g/s: sent to done p%g", name, m.rate, q), float64(ends.ValueAtQuantile(q))/1000, "ms")
	}
	return nil
}

// soaked reports the growth of memory for 1,000 events, from a fifth of the time on: until then
// pools and caches fill.
func (m *measurement) soaked(ctx context.Context, p *process, done *done, typ string) error {
	if m.soak == 0 {
		return nil
	}
	l, err := newLoad(p, typ, &m.number)
	if err != nil {
		return err
	}
	l.open(ctx, m.rate/2, m.soak/5)
	first, events := p.usage(), l.accepted
	l.open(ctx, m.rate/2, m.soak*4/5)
	if _, err := done.all(ctx, l); err != nil {
		return cmp.Or(l.check(), err)
	}
	for program, u := range p.usage() {
		m.add("soak: memory growth of "+program+" for 1,000 events", (u.rss-first[program].rss)*1000/float64(l.accepted-events), "MB")
	}
	return l.check()
}

// publish writes the table of all figures between the markers of the document.
func (m *measurement) publish() error {
	if m.document == "" {
		return nil
	}
	var table strings.Builder
	fmt.Fprintf(&table, "\nCommit %s on %s, load and system on one machine:\n\n| figure | value |\n|---|---|\n", m.commit, m.machine)
	for _, r := range m.all {
		fmt.Fprintf(&table, "| %s | %.3g %s |\n", r.Figure, r.Value, r.Unit)
	}
	fmt.Fprintln(&table)
	return bench.Publish(m.document, "speed", table.String())
}
