package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"io"
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
	dir, results, document, convoy, sink string
	phase, soak                          time.Duration
	flight, growth                       int
	rate                                 float64
}

func parse(args []string) (s settings, err error) {
	flags := flag.NewFlagSet("e2e", flag.ContinueOnError)
	flags.StringVar(&s.dir, "dir", ".build/host", "folder of tollgate, the functions, hello and trialconsumer")
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

// floors measures what the least server accepts, and the same front as ingest's with a function
// behind it that does nothing.
func (m *measurement) floors(ctx context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	least, err := start(ctx, os.Stderr, self, "durable", "-file", filepath.Join(m.work, "events"))
	if err != nil {
		return err
	}
	if err := m.floor(ctx, least, "bare durable"); err != nil {
		return err
	}
	hello, err := m.dev(ctx, newDone(), "hello", map[string]string{"ingest": "hello"})
	if err != nil {
		return err
	}
	return m.floor(ctx, hello, "hello behind the front")
}

func (m *measurement) floor(ctx context.Context, p *process, name string) error {
	l, took, err := m.closedLoop(ctx, p, bench.Ignored)
	p.stop()
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	m.add(name+": accepted", float64(l.accepted)/took.Seconds(), "/s")
	return nil
}

// dev starts tollgate dev on a new data folder, with some of its functions replaced.
func (m *measurement) dev(ctx context.Context, log io.Writer, name string, replaced map[string]string) (*process, error) {
	folder := filepath.Join(m.work, name)
	if err := os.Mkdir(folder, 0o700); err != nil {
		return nil, fmt.Errorf("make folder: %w", err)
	}
	for _, function := range []string{"ingest", "consumer", "reconcile"} {
		binary, err := filepath.Abs(filepath.Join(m.dir, cmp.Or(replaced[function], function)))
		if err == nil {
			err = os.Symlink(binary, filepath.Join(folder, function))
		}
		if err != nil {
			return nil, fmt.Errorf("link functions: %w", err)
		}
	}
	return start(ctx, log, filepath.Join(m.dir, "tollgate"), "dev", "--json", "--listen", anyPort, "--aws-listen", anyPort,
		"--functions", folder, "--data", filepath.Join(folder, "data"))
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
	for _, k := range kinds() {
		if err := m.system(ctx, k); err != nil {
			return fmt.Errorf("%s: %w", k.name, err)
		}
	}
	return nil
}

// kind is a kind of event, with what handles it.
type kind struct {
	name, typ string
	functions map[string]string // replaced
}

func kinds() []kind {
	return []kind{
		{"ignored", bench.Ignored, nil},
		{"one effect", "trial.works", map[string]string{"consumer": "trialconsumer"}},
		{"`invoice.paid`", "invoice.paid", nil}, // fetches its invoice, writes three items
	}
}

func (m *measurement) system(ctx context.Context, k kind) error {
	done := newDone()
	p, err := m.dev(ctx, done, k.typ, k.functions)
	if err != nil {
		return err
	}
	defer p.stop()
	steps := []func() error{
		func() error { return m.most(ctx, p, done, k.name, k.typ) },
		func() error { return m.latency(ctx, p, done, k) },
	}
	if k.typ == bench.Ignored && m.growth > 0 {
		steps = append(steps, func() error { return fill(ctx, p, done.last(), m.growth) },
			func() error { return m.most(ctx, p, done, fmt.Sprintf("with %d records", m.growth), k.typ) })
	}
	if k.typ == bench.Ignored && m.soak > 0 {
		steps = append(steps, func() error { return m.soaked(ctx, p, done, k.typ) })
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
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
func (m *measurement) latency(ctx context.Context, p *process, done *done, k kind) error {
	l, err := newLoad(p, k.typ, &m.number)
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
		m.add(fmt.Sprintf("%s: accepted p%g at %g/s", k.name, q, m.rate), float64(l.latency.ValueAtQuantile(q))/1000, "ms")
		m.add(fmt.Sprintf("%s: sent to done p%g at %g/s", k.name, q, m.rate), float64(ends.ValueAtQuantile(q))/1000, "ms")
	}
	return nil
}

// soaked reports the growth of memory for 1,000 events, from a fifth of the time on: until then
// pools and caches fill.
func (m *measurement) soaked(ctx context.Context, p *process, done *done, typ string) error {
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

// publish prints each kind's figures as a share of the floor, and writes the table of all
// figures between the markers of the document.
func (m *measurement) publish() error {
	hello := m.value("hello behind the front: accepted")
	m.add("hello behind the front: of bare durable", hello/m.value("bare durable: accepted"), "×")
	for _, k := range kinds() {
		m.add(k.name+": accepted, of hello", m.value(k.name+": accepted")/hello, "×")
		m.add(k.name+": done, of hello's accepted", m.value(k.name+": done")/hello, "×")
	}
	if m.document == "" {
		return nil
	}
	return bench.Publish(m.document, "speed", m.table())
}

func (m *measurement) value(figure string) float64 {
	for _, r := range m.all {
		if r.Figure == figure {
			return r.Value
		}
	}
	return 0
}

// table has a column for each kind of event; the figures without a kind come first.
func (m *measurement) table() string {
	var others, rows []string
	cells := map[string]string{}
	for _, r := range m.all {
		name, what, _ := strings.Cut(r.Figure, ": ")
		value := digits(r.Value) + " " + r.Unit
		if !slices.ContainsFunc(kinds(), func(k kind) bool { return k.name == name }) {
			others = append(others, fmt.Sprintf("| %s | %s |", r.Figure, value))
			continue
		}
		if !slices.Contains(rows, what) {
			rows = append(rows, what)
		}
		cells[name+what] = value
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\nCommit %s on %s; the load runs on the same machine:\n\n| floor, growth | |\n|---|---|\n%s\n\n| tollgate dev |", m.commit, m.machine, strings.Join(others, "\n"))
	for _, k := range kinds() {
		fmt.Fprintf(&b, " %s |", k.name)
	}
	b.WriteString("\n|---|---|---|---|\n")
	for _, what := range rows {
		fmt.Fprintf(&b, "| %s |", what)
		for _, k := range kinds() {
			fmt.Fprintf(&b, " %s |", cells[k.name+what])
		}
		b.WriteByte('\n')
	}
	b.WriteByte('\n')
	return b.String()
}
