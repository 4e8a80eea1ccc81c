//go:build unix

package crash

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var mutantsToo = flag.Bool("mutants", false, "show that the matrix finds seeded bugs: minutes")

// mutant is a seeded bug, an edit of the product's source for one build, and the point at which it
// must be found.
type mutant struct {
	name           string
	file, old, new string // the file is under pkg
	point, action  string
}

func mutants() []mutant {
	const (
		commit      = "dynamostore/complete.go"
		transaction = "TransactItems:      append([]types.TransactWriteItem{record}, items...),\n	}\n"
		alone       = "TransactItems:      items,\n	}\n"
	)
	return []mutant{
		{
			"200 before the queue has the event", "ingest/ingest.go",
			"message, err := h.sender.Enqueue(ctx, got.Envelope, r.Trace)\n",
			"time.AfterFunc(10*time.Millisecond, func() { h.sender.Enqueue(context.WithoutCancel(ctx), got.Envelope, r.Trace) })\n	message, err := \"\", ctx.Err()\n",
			"ingest.SendMessage.before", "kill",
		},
		{
			"acknowledged before the handler", "consumer/batch.go",
			"	r := b.recovering(m)\n",
			"	_ = b.c.cfg.Queue.Delete(b.ctx, []string{m.Receipt})\n	r := b.recovering(m)\n",
			"consumer.handler.after", "kill",
		},
		{
			"acknowledged before the dead letter", "consumer/failure.go",
			"	err := b.c.cfg.Queue.DeadLetter(",
			"	_ = b.c.cfg.Queue.Delete(ctx, []string{m.Receipt})\n	err := b.c.cfg.Queue.DeadLetter(",
			"consumer.SendMessage.before", "kill",
		},
		{
			"effect outside of the transaction", commit, transaction,
			alone + "	if f := s.retry(ctx, func(ctx context.Context) error {\n		_, err := s.client.TransactWriteItems(ctx, in)\n		return err\n	}); f != nil {\n		return f\n	}\n	return s.write(ctx, record)\n}\n\nfunc (s *writer) unused(ctx context.Context, in *dynamodb.TransactWriteItemsInput) *fault {\n",
			"consumer.complete_with_effects.after", "kill",
		},
		{
			"done before its effect", commit, transaction,
			alone + "	if f := s.write(ctx, record); f != nil {\n		return f\n	}\n",
			"consumer.complete_with_effects.before", "kill",
		},
		{
			"no fence", commit,
			`const fence = "st=:running AND att=:att AND own=:own"`,
			`const fence = "(st=:running OR att>=:att OR own=:own)"`,
			"consumer.handler.after", "stop",
		},
		{
			"a redrive deletes before it sends", "redrive/move.go",
			"	refused, err := call(ctx, m.Mover.Send, messages)\n",
			"	if _, err := m.Mover.Delete(ctx, messages); err != nil {\n		return err\n	}\n	refused, err := call(ctx, m.Mover.Send, messages)\n",
			"command.SendMessageBatch.before", "kill",
		},
		{
			"a queue answers before it has written", "local/aws/sqs/engine.go",
			"	switch {\n	case t.tx != nil && t.err == nil:\n",
			"	for i, c := range t.ended {\n		c.reply <- t.errors[i]\n	}\n	t.ended = nil\n	<-time.After(20 * time.Millisecond)\n	switch {\n	case t.tx != nil && t.err == nil:\n",
			"sqs.commit.before", "kill",
		},
		{
			"marked as sent before it is handed over", "outbox/handover.go",
			"	if err := send(ctx, sender, requested(e)); err != nil {\n",
			"	_ = marks.MarkSent(ctx, e.Key, time.Now())\n	if err := send(ctx, sender, requested(e)); err != nil {\n",
			"consumer.handover.before", "kill",
		},
		{
			"a delivery is done before it is sent", "delivery/attempt.go",
			"	answer, took, sent := b.send(l, d, s)\n",
			"	_, _ = b.cfg.Store.End(b.ctx, s, Result{Status: Delivered, Now: b.now()})\n	answer, took, sent := b.send(l, d, s)\n",
			"sender.send.before", "kill",
		},
		{
			"sent twice under one lease", "delivery/attempt.go",
			"	return l.target.Send(ctx, d), 0, true\n",
			"	l.target.Send(ctx, d)\n	return l.target.Send(ctx, d), 0, true\n",
			"sender.send.after", "kill",
		},
	}
}

// TestMutantsApply: the texts that the mutants change are in the product.
func TestMutantsApply(t *testing.T) {
	for _, m := range mutants() {
		overlay(t, m)
	}
}

// TestMutants builds each mutant, which a round at its point must find.
func TestMutants(t *testing.T) {
	if !*mutantsToo {
		t.Skip("takes minutes: run it with -mutants")
	}
	for _, m := range mutants() {
		t.Run(m.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := build(dir, "-overlay", overlay(t, m)); err != nil {
				t.Fatal(err)
			}
			points := slices.Concat(killPoints(), pausePoints())
			i := slices.IndexFunc(points, func(p point) bool { return p.name == m.point && p.action == m.action })
			if i < 0 {
				t.Fatalf("no point %s to %s at", m.point, m.action)
			}
			const tries = 12
			r, err := round(t, dir, points[i], tries)
			if err != nil {
				t.Fatal(err)
			}
			if len(r.faults) == 0 {
				t.Fatalf("not found by %d times %s at %s", r.fired, m.action, m.point)
			}
			t.Logf("found at %s: %s", m.point, r.faults[0])
		})
	}
}

// overlay writes the mutant's file and the overlay file for the go command.
func overlay(t *testing.T, m mutant) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("..", "..", m.file))
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(source), m.old); n != 1 {
		t.Fatalf("%s: the text to change occurs %d times:\n%s", m.file, n, m.old)
	}
	dir := t.TempDir()
	to, list := filepath.Join(dir, "mutant.go"), filepath.Join(dir, "overlay.json")
	raw, err := json.Marshal(map[string]any{"Replace": map[string]string{path: to}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, []byte(strings.Replace(string(source), m.old, m.new, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(list, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	return list
}
