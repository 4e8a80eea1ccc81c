//go:build unix

package e2e_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/performance"
	"github.com/chromedp/chromedp"
)

var benchRecords = flag.Int("records", 0, "measure the console with a table of so many records")

// TestConsoleBench measures the console: how long each page and each step of a scan take with a
// full table, and how much a page's script computes while events arrive.
func TestConsoleBench(t *testing.T) {
	if *benchRecords == 0 {
		t.Skip("skipped: without -records nothing is measured (make console-bench)")
	}
	data := t.TempDir()
	s := shop(t, data)
	eventually(t, func() (bool, string) { n := s.depth(s.info.DLQURL); return n > 0, "no dead letters" })
	s.interrupt()
	began := time.Now()
	grow(t, data, *benchRecords)
	t.Logf("the table was filled in %.0f s", time.Since(began).Seconds())
	s = shopOn(t, data, "--no-reconcile")
	s.moreDeadLetters(2000)

	p := s.console()
	fmt.Printf("\n| view, %d records | p50 | p95 | most | ms\n|---|---|---|---|---|\n", *benchRecords)
	for _, path := range p.views() {
		p.visit(p.at("/jobs")) // which loads little while the others are measured
		p.measure(path, slices.Repeat([]string{path}, 40))
	}
	for _, filter := range []string{"?status=done", "?type=invoice.paid", "?status=done&account=acct_none"} {
		p.measure("a step of a scan /events"+filter, p.steps("/events"+filter, 40))
	}
	for _, path := range []string{"/", "/events", "/causes"} {
		p.visit(p.at(path))
		s.scripting(p, path, 200, 15*time.Second)
	}
}

// measure fetches addresses one after the other and prints how long the answers took.
func (p *page) measure(name string, paths []string) {
	p.t.Helper()
	var took []float64
	for i, path := range paths {
		ms := eval[float64](p, fmt.Sprintf(`(async () => {
			const began = performance.now(), r = await fetch(%q, {cache: "no-store"}); await r.text();
			if (!r.ok) throw new Error(r.status + " " + r.url); return performance.now() - began })()`, path))
		if i > 0 || len(paths) == 1 {
			took = append(took, ms)
		}
	}
	slices.Sort(took)
	fmt.Printf("| %s | %.0f | %.0f | %.0f | %d × |\n", name, took[len(took)/2], took[len(took)*95/100], took[len(took)-1], len(took))
}

// steps are the addresses of a scan's pages, each of which links to the next.
func (p *page) steps(path string, n int) (paths []string) {
	p.t.Helper()
	for ; path != "" && len(paths) < n; path = eval[string](p, `document.querySelector("main a[rel=next]")?.getAttribute("href") || ""`) {
		p.visit(p.at(path))
		paths = append(paths, path)
	}
	return paths
}

// scripting sends events at a rate and prints how long the page's scripts ran for each second.
func (s *system) scripting(p *page, path string, rate int, during time.Duration) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), during)
	defer cancel()
	load := exec.CommandContext(ctx, filepath.Join(binaries, "tollgate"), "send", "invoice.paid", "--data", s.data,
		"--count", fmt.Sprint(rate*int(during/time.Second)*2), "--rate", fmt.Sprint(rate))
	load.Env = []string{"HOME=/"}
	handled := func() int { return len(s.log.lines(" consumer event ")) }
	before, events := p.metrics(), handled()
	must(s.t, load.Start())
	load.Wait() // until its time is over
	after := p.metrics()
	seconds := after["Timestamp"] - before["Timestamp"]
	for _, name := range []string{"ScriptDuration", "LayoutDuration", "RecalcStyleDuration", "TaskDuration"} {
		fmt.Printf("| %s of %s at %.0f events/s | %.1f ms a second |\n", name, path, float64(handled()-events)/seconds, (after[name]-before[name])*1000/seconds)
	}
}

func (p *page) metrics() map[string]float64 {
	p.t.Helper()
	_, err := chromedp.Call(p.ctx, performance.Enable, performance.EnableParams{})
	must(p.t, err)
	got, err := chromedp.Call(p.ctx, performance.GetMetrics, cdp.Empty{})
	must(p.t, err)
	all := map[string]float64{}
	for _, m := range got.Metrics {
		all[m.Name] = m.Value
	}
	return all
}

// moreDeadLetters sends copies of dead letters, of other events, to the dead-letter queue.
func (s *system) moreDeadLetters(n int) {
	s.t.Helper()
	got, err := s.queues().ReceiveMessage(s.t.Context(), &sqs.ReceiveMessageInput{
		QueueUrl: &s.info.DLQURL, MaxNumberOfMessages: 1, VisibilityTimeout: 1, MessageAttributeNames: []string{"All"},
	})
	must(s.t, err)
	body := []byte(*got.Messages[0].Body)
	id := body[bytes.Index(body, []byte("evt_")):]
	id = id[:bytes.IndexByte(id, '"')]
	for at := 0; at < n; at += 10 {
		var entries []types.SendMessageBatchRequestEntry
		for i := range 10 {
			name := fmt.Sprint(i)
			text := strings.ReplaceAll(string(body), string(id), fmt.Sprintf("%s%07d", id, at+i))
			entries = append(entries, types.SendMessageBatchRequestEntry{Id: &name, MessageBody: &text, MessageAttributes: got.Messages[0].MessageAttributes})
		}
		_, err := s.queues().SendMessageBatch(s.t.Context(), &sqs.SendMessageBatchInput{QueueUrl: &s.info.DLQURL, Entries: entries})
		must(s.t, err)
	}
}
