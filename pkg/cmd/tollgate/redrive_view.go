package main

import (
	"fmt"
	"math"
	"strings"
	"time"

	"tollgate/pkg/redrive"
)

// redriveView is the plan of a redrive and what came of it, for machines.
type redriveView struct {
	DryRun          bool        `json:"dry_run"`
	Read            int         `json:"read"`
	Selected        int         `json:"selected"`
	More            bool        `json:"more"` // there may be letters that were not looked at
	Groups          []groupView `json:"groups"`
	Oldest          *string     `json:"oldest"`
	Hidden          int         `json:"hidden"`      // by another reader: they could not be read
	Certain         bool        `json:"certain"`     // the plan saw every letter
	Leftovers       int         `json:"leftovers"`   // of them, known to be of done events
	Undecodable     int         `json:"undecodable"` // of them
	Rate            int         `json:"rate"`
	EstimateSeconds float64     `json:"estimate_seconds"`

	Moved     int        `json:"moved"`
	Left      int        `json:"left"` // of the selected, not moved
	Refused   int        `json:"refused"`
	Refusal   string     `json:"refusal"`
	Undeleted int        `json:"undeleted"` // of the moved, may still be dead letters too
	Canary    *tallyView `json:"canary"`
	Outcomes  *tallyView `json:"outcomes"`
	Held      *int       `json:"held"` // messages of the redriven events that are held; null without --wait
	Seconds   float64    `json:"seconds"`
}

// tallyView counts what became of redriven letters.
type tallyView struct {
	Done      int    `json:"done"`
	Retrying  int    `json:"failed_retrying"` // failed again, and will be tried once more
	Dead      int    `json:"failed_dead"`     // failed again, for good
	UnderWay  int    `json:"under_way"`
	Untracked int    `json:"untracked"` // no record can tell
	FailedID  string `json:"failed_event_id"`
	Error     string `json:"failed_error"`
}

func tallyViewOf(t redrive.Tally) *tallyView {
	return &tallyView{t.Done, t.Failing, t.Dead, t.Waiting, t.Untracked, t.FailedID, t.FailedError}
}

func tallyText(t redrive.Tally) string { return tallyViewOf(t).String() }

func (v tallyView) String() string {
	words := []string{fmt.Sprintf("%d done", v.Done)}
	for _, w := range []struct {
		n    int
		text string
	}{
		{v.Dead, "failed again"}, {v.Retrying, "failed again and will be retried"},
		{v.UnderWay, "under way"}, {v.Untracked, "that no record can tell of"},
	} {
		if w.n > 0 {
			words = append(words, fmt.Sprint(w.n, " ", w.text))
		}
	}
	return strings.Join(words, ", ")
}

func planViewOf(p *redrive.Plan, rest redrive.Rest, rate int) redriveView {
	v := redriveView{
		Hidden: rest.Hidden, Certain: rest.Certain,
		Read: p.Read, Selected: p.Selected, More: p.More, Groups: []groupView{}, Oldest: stamp(p.Oldest),
		Leftovers: p.Done, Undecodable: p.Undecodable, Rate: rate,
		EstimateSeconds: float64(p.Selected) / float64(rate), Left: p.Selected,
	}
	for _, g := range p.Groups {
		v.Groups = append(v.Groups, groupViewOf(g))
	}
	return v
}

// planned says how much is going to be sent, and how long that takes.
func (r *redriveRun) planned() string {
	took := time.Duration(math.Ceil(r.view.EstimateSeconds)) * time.Second
	return fmt.Sprintf("%d of %d dead letters, %d a second, in about %s", r.view.Selected, r.view.Read, r.view.Rate, took)
}

// printPlan shows what is selected.
func (r *redriveRun) printPlan(a *app) {
	if a.json {
		a.object(r.view)
		return
	}
	v := r.view
	if v.Selected == 0 {
		fmt.Fprintf(a.out, "Nothing to redrive: none of %d dead letters is selected.\n", v.Read)
		return
	}
	a.groups(r.plan.Groups)
	fmt.Fprintf(a.out, "selected: %s; the oldest is of %s\n", r.planned(), longTime(r.plan.Oldest))
	if v.Leftovers > 0 {
		fmt.Fprintf(a.out, "%d of them are leftovers of events that are done: sending them is harmless\n", v.Leftovers)
	}
	if v.Undecodable > 0 {
		fmt.Fprintf(a.out, "%d of them cannot be read by this version: they give up again unless the consumer can\n", v.Undecodable)
	}
	if v.Hidden > 0 {
		fmt.Fprintf(a.out, "%s hidden by another reader, back within %s: --wait-hidden waits for them\n", plural(v.Hidden, "more is", "more are"), r.target.holdFor())
	}
	if v.More {
		fmt.Fprintln(a.out, "there may be more dead letters: run it again afterwards")
	}
}

// text says what came of the run, in one line.
func (r *redriveRun) text() string {
	v := r.view
	words := []string{fmt.Sprintf("redriven %d of %d dead letters", v.Moved, v.Selected)}
	if v.Refused > 0 {
		words = append(words, fmt.Sprintf("%d were refused", v.Refused))
	}
	if v.Undeleted > 0 {
		words = append(words, fmt.Sprintf("%d of the redriven may still be dead letters as well, which is harmless", v.Undeleted))
	}
	if v.Canary != nil {
		words = append(words, "canary: "+v.Canary.String())
	}
	if v.Outcomes != nil {
		words = append(words, "outcomes: "+v.Outcomes.String())
	}
	if v.Held != nil {
		words = append(words, heldText(*v.Held, true))
	}
	return strings.Join(words, "; ")
}

// print shows the report of a run, however it ended.
func (r *redriveRun) print() {
	r.app.line(r.view, fmt.Sprintf("%s; it took %.1f s", r.text(), r.view.Seconds))
}
