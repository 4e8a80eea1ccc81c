//go:build unix

package e2e_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	dynamotypes "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/chromedp/chromedp"
	"github.com/google/go-cmp/cmp"
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

// TestConsoleShowsAnEvent: an event appears on the open page, and its page tells its story. Its JSON
// is shown on demand, which is audited.
func TestConsoleShowsAnEvent(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), append(trials(), "--time-scale", "10", "--console-listen", "127.0.0.1:0")...)
	p := s.console()
	for _, c := range []struct{ query, handler string }{{"?status=done", "works"}, {"", "fails_twice"}} {
		p.visit(p.at("/events" + c.query))
		p.stays()
		s.enqueue(trial("console_"+c.handler, c.handler))
		p.shows("evt_console_"+c.handler, "trial."+c.handler)
		if p.left() {
			t.Errorf("the page of %s was loaded again to show the event", c.handler)
		}
	}
	p.follow("evt_console_fails_twice")
	p.shows("delivered by Stripe to endpoint default", "attempt 1 is too early", "attempt 2 is too early", "done: applied", "FACT#test#-#in_console_fails_twice#trial#3")
	if strings.Contains(p.text(), marker) {
		t.Error("the event's page shows its payload unasked")
	}
	p.fill("note", "a customer asks")
	p.follow("read it from Stripe")
	p.until(`document.body.textContent.includes("` + marker + `")`)
	p.visit(p.at("/audit"))
	p.shows("events payload", "a customer asks")
}

// TestConsoleKeepsTheReadersPlace: new rows do not move what a reader looks at.
func TestConsoleKeepsTheReadersPlace(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), append(trials(), "--console-listen", "127.0.0.1:0")...)
	for i := range 30 {
		s.enqueue(trial(fmt.Sprintf("console_row%02d", i), "fails"))
	}
	eventually(t, func() (bool, string) {
		n := len(s.log.lines("outcome=failed"))
		return n == 30, fmt.Sprintf("%d of 30 failed", n)
	})
	p := s.console()
	p.visit(p.at("/events"))
	p.until(`document.querySelectorAll("[data-grows] > tr").length == 30`)
	const row = `document.querySelector("#e-evt_console_row15")`
	eval[bool](p, "("+row+`.scrollIntoView({block: "center"}), true)`)
	top := eval[float64](p, row+".getBoundingClientRect().top")
	for i := range 3 {
		s.enqueue(trial(fmt.Sprintf("console_new%02d", i), "fails"))
	}
	p.shows("3 new")
	if now := eval[float64](p, row+".getBoundingClientRect().top"); now != top {
		t.Errorf("a row that is looked at moved from %.0f to %.0f", top, now)
	}
	p.click("3 new")
	p.until(`document.querySelectorAll("[data-grows] > tr").length == 33`)
	p.shows("evt_console_new02")
}

// TestConsoleRepairsABrokenHandler: the cause of failures is shown before any event is dead; after
// the fix its dead letters are redriven with a canary, on a page that may be left and loaded again.
func TestConsoleRepairsABrokenHandler(t *testing.T) {
	skipSlow(t)
	t.Parallel()
	const n = 60
	data, folder := t.TempDir(), newFunctionFolder(t)
	run := func() *system {
		return start(t, data, "--functions", folder.path, "--time-scale", "10", "--max-receives", "4", "--console-listen", "127.0.0.1:0")
	}
	s := run()
	p := s.console()
	p.visit(p.at("/causes"))
	p.stays()
	for i := range n {
		s.enqueue(trial(fmt.Sprintf("console_broken%03d", i), "ledger"))
	}
	p.shows("no ledger for", "trial.ledger", "retrying")
	if dead := s.depth(s.info.DLQURL); dead != 0 {
		t.Errorf("the cause is shown when %d events are dead", dead)
	}
	if p.left() {
		t.Error("the page was loaded again to show the cause")
	}
	folder.build("fixed")
	p.shows(fmt.Sprintf("%d dead", n))
	s.inDLQ(n)
	p.visit("about:blank")
	s.interrupt()
	folder.deploy("fixed")

	s = run()
	p = s.console()
	p.visit(p.at("/causes"))
	p.follow("no ledger for")
	p.shows("alarm", "runbook")
	p.follow("redrive them")
	p.fill("note", "the ledger is there again")
	p.fill("canary", "5")
	p.fill("rate", "3")
	p.follow("plan a redrive")
	p.shows(fmt.Sprintf("%d of %d dead letters are selected", n, n), "nothing is changed yet")
	if left := s.depth(s.info.DLQURL); left != n {
		t.Errorf("a plan alone left %d of %d dead letters", left, n)
	}
	p.click("confirm")
	eventually(t, func() (bool, string) {
		left := s.depth(s.info.DLQURL)
		return left < n-5, fmt.Sprintf("%d of %d dead letters left", left, n)
	})
	p.do(chromedp.Reload()) // in the middle
	p.shows("running", "stop")
	p.visit(p.at("/dead")) // and again from where it began
	p.shows("started here", "running")
	p.follow("redrive")
	p.shows("canary", "sent again", "done")
	p.until(`!document.querySelector("main progress")`)
	s.drained()
	s.inDLQ(0)
	for i := range n {
		s.becomesDone(fmt.Sprintf("console_broken%03d", i))
	}
	p.visit(p.at("/causes"))
	p.shows("no event fails")
	p.visit(p.at("/audit"))
	p.shows("redrive", "the ledger is there again")
}

// TestConsolePausesAType: events of a paused type wait without an attempt, and are done after the
// type is resumed.
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
	p.shows(typ + " is paused")
	p.visit(p.at("/pause"))
	p.shows(typ, "the mail provider is down")
	p.stays()
	var sent []string
	eventually(t, func() (bool, string) { // until the consumer has read the switch
		sent = append(sent, jsonLines[struct {
			ID string `json:"event_id"`
		}](s, "send", typ)[0].ID)
		held := s.depth(s.info.HoldURL)
		return held > 0, fmt.Sprintf("%d of %d events are held", held, len(sent))
	})
	s.drained()
	p.until(`Number(document.querySelector("main .stat.warn b")?.innerText) > 0`)
	if p.left() {
		t.Error("the page was loaded again to show what is held")
	}
	last := strings.TrimPrefix(sent[len(sent)-1], "evt_")
	if record := s.record(last); len(record) > 0 {
		t.Errorf("a held event has the record %v", record)
	}
	p.follow("resume")
	p.click("confirm")
	p.shows("resumed: nothing is left to do")
	for _, id := range sent {
		if record := s.becomesDone(strings.TrimPrefix(id, "evt_")); record["att"] != "1" {
			t.Errorf("%s took attempt %s", id, record["att"])
		}
	}
	p.visit(p.at("/pause"))
	p.shows("nothing is paused")
}

// TestConsoleReplaysInShadow: a shadow replay shows, side by side, what a replay would change, and
// changes nothing.
func TestConsoleReplaysInShadow(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), "--console-listen", "127.0.0.1:0", "--no-reconcile")
	s.play("subscription-life", "1")
	s.drained()
	for key := range s.items("FACT#") { // as if an earlier handler had not written them
		_, err := s.table().DeleteItem(t.Context(), &dynamodb.DeleteItemInput{TableName: &s.info.Table, Key: map[string]dynamotypes.AttributeValue{"pk": &dynamotypes.AttributeValueMemberS{Value: key}}})
		must(t, err)
	}
	before := s.items("")
	p := s.console()
	p.visit(p.at("/replay"))
	p.fill("type", "invoice.paid")
	p.follow("shadow replay")
	p.shows("nothing was written or sent", "FACT#test#-#in_", "would be inserted")
	eval[bool](p, `[...document.querySelectorAll("main details")].every(d => d.open = true)`)
	p.shows("after a replay", "amount")
	if diff := cmp.Diff(before, s.items("")); diff != "" {
		t.Errorf("a shadow replay changed the table (-before +after):\n%s", diff)
	}
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
