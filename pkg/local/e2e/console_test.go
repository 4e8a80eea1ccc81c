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
	p.shows("nothing was written or sent", "after a replay", "FACT#test#-#in_", "amount")
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
