//go:build unix

package e2e_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// flow is a number of the overview's flow, "" before it is there.
func (p *page) flow(name string) string {
	p.t.Helper()
	return eval[string](p, fmt.Sprintf(`[...document.querySelectorAll(".flow a")].find(e => e.querySelector("span").firstChild.textContent.trim() === %q)?.querySelector("b").textContent || ""`, name))
}

// flows waits until the flow has these numbers, by step.
func (p *page) flows(want map[string]string) {
	p.t.Helper()
	eventually(p.t, func() (bool, string) {
		for name, number := range want {
			if got := p.flow(name); got != number {
				return false, fmt.Sprintf("%s is %q, want %s, on the page:\n%s", name, got, number, p.text())
			}
		}
		return true, ""
	})
}

// TestConsoleShowsTheFlow: what is delivered, rejected, done and failing appears on the open overview
// with its plots; what is wrong is there in words. After a crash the
// counts begin anew, and the page says since when.
func TestConsoleShowsTheFlow(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	flags := append(trials(), "--time-scale", "10", "--no-reconcile", "--console-listen", "127.0.0.1:0")
	s := start(t, data, flags...)
	p := s.console()
	p.visit(p.at("/?range=15m"))
	p.shows("nothing is wrong now", "nothing was delivered in this time")
	p.stays()
	for i := range 3 {
		s.enqueue(trial(fmt.Sprint("flow_", i), "record"))
	}
	for range 2 { // of a stranger
		answer, err := http.Post(s.info.URL, "application/json", strings.NewReader(`{"id":"<b>evil</b>"}`))
		must(t, err)
		answer.Body.Close()
	}
	p.flows(map[string]string{"Received": "5", "Rejected": "2", "Done": "3", "Dead": "0", "Failed attempts": "0"})
	p.shows("2 without a signature", "trial.record", "enqueued", "p50")
	s.enqueue(trial("flow_fails", "fails"))
	p.shows("wrong now", "trial.fails", "1 event fails", "left. since", "next attempts", "see the cause")
	s.enqueue(trial("flow_dead", "refuses"))
	p.flows(map[string]string{"Received": "7", "Dead": "1"})
	p.shows("1 of them dead", "in no currency", "their events are not handled")
	if p.left() {
		t.Error("the page was loaded again to show the flow")
	}
	if n := eval[int](p, `document.querySelectorAll(".plots svg[role=img][aria-label]").length`); n < 4 {
		t.Errorf("%d plots with a label, want 4", n)
	}
	p.visit("about:blank") // its stream would end
	s.kill()
	s = start(t, data, flags...)
	p = s.console()
	p.visit(p.at("/?range=15m"))
	p.flows(map[string]string{"Received": "0", "Dead": "1"})
	p.shows("counted since", "their events are not handled")
}
