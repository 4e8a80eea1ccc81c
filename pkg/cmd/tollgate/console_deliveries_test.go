package main

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"tollgate/pkg/cmd/tollgate/console"
	"tollgate/pkg/delivery"
)

// newHistory gives a system destinations of which crm has a history.
func newHistory(t *testing.T) *sends {
	t.Helper()
	s := newSends(t)
	s.info.Destinations = strings.Replace(s.info.Destinations, `"secret":"crm",`, `"secret":"crm","history":true,`, 1)
	s.writeInfo()
	return s
}

// noted hands over a message for crm.
func (s *sends) noted(n int, at time.Time) delivery.Job {
	s.t.Helper()
	j := delivery.Job{Message: fmt.Sprintf("OUT#FACT#live#-#pi_%d#succeeded#receipt", n), Destination: "crm"}
	check(s.t, s.store.Note(s.t.Context(), j, at))
	return j
}

// TestConsoleDeliveries: a destination's deliveries are shown page by page, filtered, and begun again;
// a pause shows who made it; tokens are revoked here and made elsewhere.
func TestConsoleDeliveries(t *testing.T) {
	t.Parallel()
	s := newHistory(t)
	const n = 60
	begin := time.Now().Add(-3 * time.Hour)
	for i := range n {
		s.noted(i, begin.Add(time.Duration(i)*time.Second))
	}
	failed := s.dead(1, "crm", delivery.Failed)
	s.over(delivery.Job{Message: failed.Message, Destination: "erp"}, delivery.Failed, 500)
	p := s.console(console.Console{})
	if got := shown(p.get("/deliveries")); !strings.Contains(got, "crm ok") || !strings.Contains(got, "erp ok") || !strings.Contains(got, "1 dead letters") {
		t.Errorf("the destinations are shown as %s", got)
	}
	seen := map[string]int{}
	next := "/deliveries/crm"
	for pages := 0; next != ""; pages++ {
		page := p.get(next)
		for _, key := range regexp.MustCompile(`<span class="id">(OUT#[^<]*)</span>`).FindAllStringSubmatch(page, -1) {
			seen[key[1]]++
		}
		next = ""
		if found := regexp.MustCompile(`rel="next" href="([^"]*)"`).FindStringSubmatch(page); found != nil {
			next = strings.ReplaceAll(found[1], "&amp;", "&")
		}
		if pages > 2 {
			t.Fatal("the pages do not end")
		}
	}
	if len(seen) != n || seen[failed.Message] != 1 {
		t.Errorf("%d deliveries are listed: %v", len(seen), seen)
	}
	page := shown(p.get("/deliveries/crm?status=failed"))
	for _, want := range []string{failed.Message, "1 ended attempt", "410", "answered", delivery.ID(failed.Message)} {
		if !strings.Contains(page, want) {
			t.Errorf("the failed delivery lacks %q: %s", want, page)
		}
	}
	if strings.Contains(page, "pi_2#") || strings.Contains(page, "hidden") {
		t.Errorf("the failed deliveries are %s", page)
	}

	change := func(what, want string, fields ...string) {
		t.Helper()
		job := p.submit("/deliveries/crm", "/deliveries/"+what, append([]string{"what=crm"}, fields...)...)
		p.until(job, "asking", "Confirm")
		p.confirm(job)
		p.until(job, "done", want)
	}
	change("retry", "retrying", "what="+failed.Message, "note=it is back")
	if got := s.jobs("crm"); len(got) != 1 || got[0] != failed.Encode() {
		t.Errorf("jobs %v", got)
	}
	change("pause", "true", "note=moving")
	if got := shown(p.get("/deliveries")); !regexp.MustCompile(`crm paused by \S+@\S+`).MatchString(got) {
		t.Errorf("a pause is shown as %s", got)
	}
	change("resume", "false")
	if got := shown(p.get("/deliveries/crm")); !strings.Contains(got, "crm ok") {
		t.Errorf("after the resume it is shown as %s", got)
	}
	change("revoke", `"valid"`)
	if got := shown(p.get("/deliveries/crm")); !regexp.MustCompile(`tollgate deliveries token \S+ crm`).MatchString(got) {
		t.Errorf("no way to a token is shown: %s", got)
	}
}

// TestConsoleDeliveriesWithout: pages of systems without destinations, or without history, say how to get
// them; a reader has no forms.
func TestConsoleDeliveriesWithout(t *testing.T) {
	t.Parallel()
	if got := shown(newSystem(t).console(console.Console{}).get("/deliveries")); !strings.Contains(got, "has no destinations") || !strings.Contains(got, "--destinations") {
		t.Errorf("without destinations it shows %s", got)
	}
	s := newHistory(t)
	p := s.console(console.Console{ReadOnly: true})
	for path, want := range map[string]string{
		"/deliveries/erp":                 `"history": true`,
		"/deliveries/crm":                 "Nothing was handed over",
		"/deliveries/crm?status=failed":   "No deliveries match",
		"/deliveries/crm?status=lost":     "must be one of",
		"/deliveries/crm?after=yesterday": "--after is neither",
		"/deliveries/crm?since=yesterday": "--since",
	} {
		page := p.get(path)
		if !strings.Contains(shown(page), want) || strings.Contains(page, `method="post"`) {
			t.Errorf("%s shows %s, want %q", path, shown(page), want)
		}
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.base+"/deliveries/other", nil)
	check(t, err)
	if got := shown(p.do(r, http.StatusNotFound)); !strings.Contains(got, `no destination "other"`) {
		t.Errorf("an unknown one shows %s", got)
	}
	p.send("/deliveries/retry", url.Values{"what": {"crm"}}, http.StatusForbidden)
}
