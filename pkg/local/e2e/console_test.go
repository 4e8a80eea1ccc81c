//go:build unix

package e2e_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// stays marks a page; left reports that it was loaded anew since.
func (p *page) stays() { p.t.Helper(); eval[bool](p, "window.stayed = true") }

func (p *page) left() bool { p.t.Helper(); return !eval[bool](p, "window.stayed === true") }

// follow clicks a control that leads to another page, and waits for its heading.
func (p *page) follow(name string) {
	p.t.Helper()
	p.stays()
	p.click(name)
	p.until(`window.stayed !== true && document.readyState === "complete" && document.querySelector("main h1")`)
}

// TestConsoleShowsAnEvent: an event appears on the open page, and its page tells its story.
func TestConsoleShowsAnEvent(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), append(trials(), "--time-scale", "10", "--console-listen", "127.0.0.1:0")...)
	p := s.console()
	p.visit(p.at("/events"))
	p.shows("events")
	p.stays()
	s.enqueue(trial("console_flow", "fails_twice"))
	p.shows("evt_console_flow", "trial.fails_twice")
	if p.left() {
		t.Error("the page was loaded again to show the event")
	}
	s.becomesDone("console_flow")
	p.follow("evt_console_flow")
	p.shows("attempt 1 is too early", "attempt 2 is too early", "default", "done")
	p.click("payload")
}

// TestConsoleRepairsABrokenHandler: the cause of failures is shown before any event is dead; after
// the fix its dead letters are redriven with a canary, on a page that may be left and loaded again.
func TestConsoleRepairsABrokenHandler(t *testing.T) {
	skipSlow(t)
	t.Parallel()
	const n = 60
	data, folder := t.TempDir(), newFunctionFolder(t)
	run := func() *system {
		return start(t, data, "--functions", folder.path, "--time-scale", "10", "--max-receives", "5", "--console-listen", "127.0.0.1:0")
	}
	s := run()
	p := s.console()
	p.visit(p.at("/causes"))
	p.stays()
	for i := range n {
		s.enqueue(trial(fmt.Sprintf("console_broken%03d", i), "ledger"))
	}
	p.shows("trial.ledger", "no ledger for")
	if dead := s.depth(s.info.DLQURL); dead != 0 {
		t.Errorf("the cause is shown when %d events are dead", dead)
	}
	if p.left() {
		t.Error("the page was loaded again to show the cause")
	}
	folder.build("fixed")
	s.inDLQ(n)
	s.interrupt()
	folder.deploy("fixed")

	s = run()
	p = s.console()
	p.visit(p.at("/causes"))
	p.shows("trial.ledger", fmt.Sprint(n))
	p.follow("trial.ledger")
	p.follow("redrive")
	p.fill("note", "the ledger is there again")
	p.fill("canary", "5")
	p.fill("rate", "3")
	p.follow("plan a redrive")
	p.shows(fmt.Sprintf("%d of %d dead letters are selected", n, n))
	if moved := s.depth(s.info.DLQURL); moved != n {
		t.Errorf("a plan alone left %d of %d dead letters", moved, n)
	}
	p.click("confirm")
	p.shows("running")
	eventually(t, func() (bool, string) {
		left := s.depth(s.info.DLQURL)
		return left < n-5, fmt.Sprintf("%d of %d dead letters left", left, n)
	})
	p.do(chromedp.Reload()) // in the middle
	p.shows("running")
	p.visit(p.at("/dead")) // and from where it began
	p.shows("running")
	p.follow("redrive")
	p.shows("sent again", "canary", "done")
	p.until(`!document.querySelector("progress")`)
	s.drained()
	s.inDLQ(0)
	for i := range n {
		s.becomesDone(fmt.Sprintf("console_broken%03d", i))
	}
	p.visit(p.at("/audit"))
	p.shows("redrive", "the ledger is there again")
}

// TestConsolePausesAType: events of a paused type wait without using up receives, and are done
// after the type is resumed.
func TestConsolePausesAType(t *testing.T) {
	skipSlow(t)
	t.Parallel()
	const typ = "payment_intent.payment_failed"
	s := start(t, t.TempDir(), "--console-listen", "127.0.0.1:0")
	p := s.console()
	p.visit(p.at("/pause"))
	p.fill("type", typ)
	p.fill("note", "the mail provider is down")
	p.follow("pause")
	p.click("confirm")
	p.visit(p.at("/pause"))
	p.shows(typ, "the mail provider is down")
	p.stays()
	eventually(t, func() (bool, string) { // until the consumer has read the switch
		id := fmt.Sprintf("console_paused%d", time.Now().UnixNano())
		s.enqueue([]byte(strings.Replace(string(event(id, typ)), `"object":"invoice"`, `"object":"payment_intent"`, 1)))
		held := s.depth(strings.Replace(s.info.DLQURL, "tollgate-dead", "tollgate-hold", 1))
		return held > 0, fmt.Sprintf("%d held", held)
	})
	p.shows("1")
	p.follow("resume")
	p.click("confirm")
	p.shows("done")
	s.drained()
}

// TestConsoleReplaysInShadow: a shadow replay shows what a replay would change, and changes nothing.
func TestConsoleReplaysInShadow(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), "--console-listen", "127.0.0.1:0")
	s.play("subscription-life", "1")
	s.drained()
	before := s.items("")
	p := s.console()
	p.visit(p.at("/replay"))
	p.fill("type", "invoice.paid")
	p.follow("shadow replay")
	p.shows("done", "nothing was written or sent", "FACT#")
	if after := s.items("OBJ#"); len(after) == 0 {
		t.Error("the scene wrote no row")
	}
	_ = before
}

// TestConsoleEscapesEvents: whatever text an event has in any field, no page makes code of it.
func TestConsoleEscapesEvents(t *testing.T) {
	t.Parallel()
	const evil = `\"'><img src=x onerror=window.pwned=1><svg onload=window.pwned=1>{{.}}<script>window.pwned=1</script>`
	s := start(t, t.TempDir(), append(trials(), "--time-scale", "10", "--max-receives", "2", "--console-listen", "127.0.0.1:0")...)
	s.enqueue(trial("evil_plain", "refuses"))
	accepted := 0
	for i, change := range [][2]string{
		{`"id":"evt_`, `"id":"` + evil + `evt_`}, {`"id":"in_`, `"id":"` + evil}, {`"object":"trial"`, `"object":"` + evil + `"`}, {`"status":"paid"`, `"status":"` + evil + `","customer":"` + evil + `"`},
		{`"currency":"eur"`, `"currency":"` + evil + `"`}, {`"mark":`, `"` + evil + `":`}, {`"type":"`, `"type":"` + evil}, {`"api_version":"2023-10-16"`, `"api_version":"` + evil + `"`},
		{`"livemode":false`, `"livemode":false,"account":"` + evil + `"`}, {`"request":null`, `"request":{"id":"` + evil + `","idempotency_key":"` + evil + `"}`},
	} {
		for _, handler := range []string{"ledger", "receipt", "unhandled"} {
			body := string(trial(fmt.Sprintf("evil_%s%02d", handler, i), handler))
			changed := strings.Replace(body, change[0], change[1], 1)
			if changed == body {
				t.Fatalf("an event has no %s", change[0])
			}
			if status, _ := s.post([]byte(changed)); status == http.StatusOK {
				accepted++
			}
		}
	}
	if accepted < 15 {
		t.Errorf("only %d of the events were accepted: the pages show little of them", accepted)
	}
	eventually(t, func() (bool, string) {
		n := s.depth(s.info.QueueURL)
		return n == 0, fmt.Sprintf("%d messages in the queue", n)
	})
	s.tollgate("redrive", "--all", "--dry-run", "--note", evil)
	p := s.console()
	clean := func(path string) {
		t.Helper()
		if eval[bool](p, `!!window.pwned || !!document.querySelector("main img, main [onload], main script")`) {
			t.Errorf("%s runs code of an event, or has an element of it", path)
		}
	}
	for _, path := range p.views() {
		for _, query := range []string{"", "?" + url.Values{"id": {evil}, "type": {evil}, "error": {evil}, "note": {evil}, "account": {evil}, "cursor": {evil}, "since": {evil}, "about": {evil}}.Encode()} {
			address, _, _ := strings.Cut(path, "?")
			p.visit(p.at(address + query))
			clean(address + query)
		}
	}
	for path := range s.items("EVT#") {
		path = "/events/" + url.PathEscape(strings.TrimPrefix(path, "EVT#"))
		p.visit(p.at(path))
		clean(path)
	}
	p.forgive("400 (Bad Request)")
	p.forgive("404 (Not Found)")
}
