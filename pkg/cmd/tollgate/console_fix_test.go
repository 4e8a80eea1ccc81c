package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"tollgate/pkg/cmd/tollgate/console"
	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/config"
	"tollgate/pkg/dispatch"
	"tollgate/pkg/idempotency"
	"tollgate/pkg/queue"
)

// tab is a browser with the console's session.
type tab struct {
	t      *testing.T
	client *http.Client
	base   string
}

// console serves the pages of a system.
func (s *system) console(c console.Console) *tab {
	s.t.Helper()
	return openConsole(s.t, &verb.App{Data: s.data, Env: config.Command{APIKey: "sk_test_1"}}, c)
}

// openConsole serves the pages of a command's system.
func openConsole(t *testing.T, a *verb.App, c console.Console) *tab {
	t.Helper()
	c.Listen, a.Streams = "127.0.0.1:0", verb.Streams{Out: io.Discard, Err: io.Discard}
	served, err := console.Open(t.Context(), a, c)
	check(t, err)
	t.Cleanup(func() { check(t, served.Close()) })
	base, token, _ := strings.Cut(served.Link(), "/#")
	jar, err := cookiejar.New(nil)
	check(t, err)
	p := &tab{t, &http.Client{Jar: jar}, base}
	p.send("/session", url.Values{"token": {token}}, http.StatusNoContent)
	return p
}

func (p *tab) send(path string, form url.Values, want int) (text string) {
	p.t.Helper()
	r, err := http.NewRequestWithContext(p.t.Context(), http.MethodPost, p.base+path, strings.NewReader(form.Encode()))
	check(p.t, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Origin", p.base)
	return p.do(r, want)
}

func (p *tab) do(r *http.Request, want int) string {
	p.t.Helper()
	res, err := p.client.Do(r)
	check(p.t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	check(p.t, err)
	if res.StatusCode != want {
		p.t.Fatalf("%s %s: %d, want %d: %s", r.Method, r.URL.Path, res.StatusCode, want, shown(string(body)))
	}
	return string(body)
}

func (p *tab) get(path string) string {
	p.t.Helper()
	r, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, p.base+path, nil)
	check(p.t, err)
	return p.do(r, http.StatusOK)
}

var (
	tokenField = regexp.MustCompile(`name="token" value="([^"]+)"`)
	tags       = regexp.MustCompile(`<[^>]*>`)
	spaces     = regexp.MustCompile(`\s+`)
)

// shown is what a page shows, as text.
func shown(page string) string {
	if i := strings.Index(page, "<main"); i >= 0 {
		page = page[i:]
	}
	return strings.TrimSpace(spaces.ReplaceAllString(html.UnescapeString(tags.ReplaceAllString(page, " ")), " "))
}

// submit posts a page's form and returns the path of the page that follows.
func (p *tab) submit(page, action string, fields ...string) string {
	p.t.Helper()
	token := tokenField.FindStringSubmatch(p.get(page))
	if token == nil {
		p.t.Fatalf("%s has no form", page)
	}
	form := url.Values{"token": token[1:2]}
	for _, f := range fields {
		name, value, _ := strings.Cut(f, "=")
		form.Add(name, value)
	}
	at := ""
	p.client.CheckRedirect = func(r *http.Request, _ []*http.Request) error { at = r.URL.Path; return nil }
	p.send(action, form, http.StatusOK)
	return at
}

// until reads a page's live updates until it shows all the texts, and returns it as text.
func (p *tab) until(path string, texts ...string) (text string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), time.Minute)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, p.base+"/live?path="+url.QueryEscape(path), nil)
	check(p.t, err)
	res, err := p.client.Do(r)
	check(p.t, err)
	defer res.Body.Close()
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(nil, 4<<20)
	for lines.Scan() {
		raw, is := strings.CutPrefix(lines.Text(), "data: ")
		var block struct{ HTML, Text string }
		if !is || json.Unmarshal([]byte(raw), &block) != nil {
			continue
		}
		if block.HTML+block.Text == "" { // a sign of life
			continue
		}
		text = shown(block.HTML) + block.Text
		has := true
		for _, t := range texts {
			has = has && strings.Contains(text, t)
		}
		if has {
			return text
		}
	}
	p.t.Fatalf("%s never shows %q; it shows %s", path, texts, text)
	return ""
}

// confirm answers what a job asks.
func (p *tab) confirm(job string) {
	p.t.Helper()
	id := job[strings.LastIndex(job, "/")+1:]
	if at := p.submit(job, "/jobs/"+id+"/confirm"); at != job {
		p.t.Errorf("confirm leads to %s, want %s", at, job)
	}
}

// commandOf returns the command line that a job's page shows.
func (p *tab) commandOf(page string) []string {
	p.t.Helper()
	found := regexp.MustCompile(`<code>tollgate ([^<]*)</code>`).FindStringSubmatch(p.get(page))
	if found == nil {
		p.t.Fatal("no command line is shown")
	}
	return strings.Fields(html.UnescapeString(found[1]))
}

// TestConsoleRedrives: what a filter selects is planned, confirmed and sent, the canary first;
// another tab shows the same job, and the command line that is shown does the same.
func TestConsoleRedrives(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	const n = 12
	for i := range n {
		s.dead(fmt.Sprintf("evt_%02d", i), "invoice.paid", "no row yet")
	}
	s.dead("evt_other", "charge.failed", "<script>alert(1)</script>")
	p := s.console(console.Console{})
	list := p.until(p.submit("/dead", "/dead/list"), "done", "Dead letters read: 13, all there are.", "no row yet", "<script>alert(1)</script>")
	if !strings.Contains(list, fmt.Sprint(n)) || strings.Contains(p.get("/dead"), "<script>alert") {
		t.Errorf("the list shows %s", list)
	}

	cause := queue.Fingerprint("invoice.paid", "handler", "no row yet")
	job := p.submit("/dead", "/dead/redrive", "error="+cause, "canary=2", "rate=500", "wait=on", "note=fixed")
	p.until(job, "asking", "send 12 of 13 dead letters", "12 of 13 dead letters are selected", "Confirm")
	s.allVisible(n + 1)
	if got := len(s.messages()); got != 0 {
		t.Errorf("%d messages were sent before the confirm", got)
	}
	p.until("/dead", "Redrive dead letters", "asking")
	s.handle(func(string) bool { return false })
	p.confirm(job)
	p.until(job, "done", "12 sent again", "0 left of the plan", "Canary 2 done", "All 12 done", "Audit")
	s.allVisible(1)
	if audit := s.tollgate("audit", "list").ok(t).out; !strings.Contains(audit, "redrive") || !strings.Contains(audit, "fixed") || !strings.Contains(audit, "outcomes: 12 done") {
		t.Errorf("audit: %s", audit)
	}
	again := s.tollgate(p.commandOf(job)...).ok(t)
	if !strings.Contains(again.out, "none of 1 dead letters is selected") {
		t.Errorf("the command line says %s%s", again.out, again.err)
	}
}

// TestConsoleStopsACanaryThatFails: nothing more is sent, and the plan can be made again.
func TestConsoleStopsACanaryThatFails(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	for i := range 5 {
		s.dead(fmt.Sprintf("evt_%d", i), "invoice.paid", "no row yet")
	}
	s.handle(func(string) bool { return true })
	p := s.console(console.Console{})
	job := p.submit("/dead", "/dead/redrive", "type=invoice.*", "canary=1", "wait=on", "note=perhaps")
	p.until(job, "asking")
	p.confirm(job)
	p.until(job, "failed", "1 of 1 canary messages failed again, nothing more was sent", "4 left of the plan", "Plan again")
	if form := p.get("/dead?" + html.UnescapeString(regexp.MustCompile(`href="/dead\?([^"]*)"`).FindStringSubmatch(p.get(job))[1])); !strings.Contains(form, `value="invoice.*"`) || !strings.Contains(form, `value="perhaps"`) {
		t.Error("the selection cannot be changed")
	}
	next := p.submit(job, "/jobs/"+job[strings.LastIndex(job, "/")+1:]+"/again")
	p.until(next, "asking", "send 5 of 5 dead letters")
}

// TestConsoleExcludesJobs: two jobs of one console do not work on the dead letters at once.
func TestConsoleExcludesJobs(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	for i := range 3 {
		s.dead(fmt.Sprintf("evt_%d", i), "invoice.paid", "no row yet")
	}
	p := s.console(console.Console{})
	first := p.submit("/dead", "/dead/redrive", "type=invoice.paid", "canary=1", "wait=on", "note=first")
	p.until(first, "asking")
	p.confirm(first)
	p.until("/dead", "In use: redrive by")
	second := p.submit("/dead", "/dead/redrive", "all=on", "note=second")
	p.until(second, "failed", "the dead-letter queue is in use: redrive by", "another job of this console works on it")
	p.submit(first, "/jobs/"+first[strings.LastIndex(first, "/")+1:]+"/stop")
	p.until(first, "stopped", "1 sent again", "2 left of the plan", "run it again to go on")
	third := p.submit("/dead", "/dead/redrive", "all=on", "note=third")
	p.until(third, "asking", "send 2 of 2 dead letters")
}

// TestConsolePurges: the export is there before anyone confirms; a cancel removes it and leaves
// the letters, a confirm deletes them and keeps it.
func TestConsolePurges(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	for i := range 3 {
		s.dead(fmt.Sprintf("evt_%d", i), "invoice.paid", "no row yet")
	}
	p, file := s.console(console.Console{}), filepath.Join(t.TempDir(), "purged.jsonl")
	plan := func() (job string) {
		job = p.submit("/dead", "/dead/purge", "type=invoice.paid", "out="+file, "note=test data")
		p.until(job, "asking", "delete 3 of 3 dead letters permanently")
		if raw, err := os.ReadFile(file); err != nil || strings.Count(string(raw), "\n") != 3 {
			t.Fatalf("the export: %q, %v", raw, err)
		}
		return job
	}
	job := plan()
	p.submit(job, "/jobs/"+job[strings.LastIndex(job, "/")+1:]+"/stop")
	p.until(job, "stopped", "nothing was changed")
	if _, err := os.Stat(file); err == nil {
		t.Error("the export of a purge that did not happen is left")
	}
	s.allVisible(3)
	job = plan()
	p.confirm(job)
	p.until(job, "done", "Deleted 3", "Events marked as purged 3", file)
	s.allVisible(0)
	if audit := s.tollgate("audit", "list", "--verb", "dlq purge").ok(t).out; strings.Count(audit, "test data") != 1 {
		t.Errorf("audit: %s", audit)
	}
}

// TestConsoleReplays: a shadow replay shows both sides and changes nothing; a replay runs after
// the confirm, with the note.
func TestConsoleReplays(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	body := succeeded("evt_1", "pi_1")
	withStripe(t, s, body)
	s.ended(body, "", idempotency.Applied, dispatch.Insert("FACT#test#-#pi_1#succeeded", dispatch.Fields{"amount": 900}))
	before := s.table()
	p := s.console(console.Console{})
	job := p.submit("/replay?ids=evt_1", "/replay/shadow", "ids=evt_1")
	p.until(job, "done", "exists and stays as it is", "Now What the handler returns, not written", "amount 900 1000", "Nothing was written or sent.")
	s.untouched(t, before)
	job = p.submit("/replay", "/replay/run", "ids=evt_1", "note=tax was rounded wrongly")
	p.until(job, "asking", "run 1 event again")
	s.untouched(t, before)
	p.confirm(job)
	p.until(job, "done", "replayed")
	if r := s.record("evt_1"); r.Generation != 2 || r.ReplayWhy != "tax was rounded wrongly" {
		t.Errorf("the record: %+v", r)
	}
}

// TestConsoleReleasesMail: what is ticked, or all that match; nothing before the confirm.
func TestConsoleReleasesMail(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	var keys []string
	for n := range 6 {
		keys = append(keys, s.asked(n, []string{"receipt", "welcome"}[n%2], "old"))
	}
	p := s.console(console.Console{})
	if text := shown(p.get("/mail?type=receipt")); !strings.Contains(text, keys[0]) || strings.Contains(text, keys[1]) {
		t.Errorf("the page shows %s", text)
	}
	job := p.submit("/mail", "/mail/release", "key="+keys[1], "key="+keys[3], "note=asked for")
	p.until(job, "asking", "release 2 named messages")
	if n := s.sends(); n != 0 {
		t.Errorf("%d messages were sent before the confirm", n)
	}
	p.confirm(job)
	p.until(job, "done", "2 released of 2")
	job = p.submit("/mail?type=receipt", "/mail/release", "type=receipt", "note=all of them")
	p.until(job, "asking", "release 3 held messages (3 receipt)")
	p.confirm(job)
	p.until(job, "done", "3 released of 3")
	if n := s.sends(); n != 5 {
		t.Errorf("%d messages were sent, want 5", n)
	}
}

// TestConsoleReadOnly: a reader's console shows every page and refuses every change.
func TestConsoleReadOnly(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.dead("evt_1", "invoice.paid", "no row yet")
	s.asked(1, "receipt", "old")
	p := s.console(console.Console{ReadOnly: true})
	token := tokenField.FindStringSubmatch(p.get("/dead"))[1]
	for _, page := range []string{"/dead", "/replay", "/mail", "/jobs"} {
		p.get(page)
	}
	for _, action := range []string{"/dead/list", "/dead/export", "/dead/redrive", "/dead/purge", "/replay/shadow", "/replay/run", "/mail/release", "/jobs/x/confirm", "/jobs/x/again", "/jobs/x/stop"} {
		if text := p.send(action, url.Values{"token": {token}, "all": {"on"}, "note": {"no"}}, http.StatusForbidden); !strings.Contains(text, "read-only") {
			t.Errorf("%s: %s", action, text)
		}
	}
	s.allVisible(1)
}
