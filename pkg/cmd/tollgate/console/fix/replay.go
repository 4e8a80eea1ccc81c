package fix

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"tollgate/pkg/cmd/tollgate/console/job"
	"tollgate/pkg/cmd/tollgate/events"
	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/console"
	"tollgate/pkg/replay"
)

const replayPath = "/replay"

func replayPages(a *verb.App) []console.Page {
	const nav = "Fix/Replay"
	return []console.Page{
		{Path: replayPath, Title: "Replay", Nav: nav, Views: console.Parse(templates, "replay.html", "jobs.html"), Every: 5 * time.Second,
			Load: func(ctx context.Context, r *http.Request) (any, error) {
				return replayForm{jobsAt(console.JobsOf(ctx), replayPath+"/"), values(r.URL.Query())}, nil
			}},
		{Path: replayPath + "/{id}", Title: "Replay", Nav: nav, Views: console.Parse(templates, "replay_job.html", "jobs.html"), Every: every,
			Load: func(ctx context.Context, r *http.Request) (any, error) {
				v, err := console.JobsOf(ctx).Get(r.PathValue("id"))
				return replayJobOf(v), err
			}},
	}
}

const shadowTitle = "Shadow replay"

func replayForms() []job.Form {
	form := func(path, name, title string, always []string, flags ...string) job.Form {
		return job.Form{
			Path: replayPath + path, Page: replayPath + "/", Title: title, Name: name, New: func() job.Verb { return &events.Replay{} },
			Flags: append(flags, "type", "since", "until", "outcome", "limit", "max-read", "account", "endpoint", "rate"), Args: "ids", Always: always,
		}
	}
	return []job.Form{
		form("/shadow", "events replay", shadowTitle, []string{"--shadow"}),
		form("/run", "events replay", "Replay", nil, "note", "wait"),
	}
}

type replayForm struct {
	Jobs []console.JobView
	Form values
}

// replayJob is a job of the page, and what the verb printed.
type replayJob struct {
	jobView
	IDs     []string // it asks about
	Shadow  bool
	Shadows []shadow
	Results []replayed
}

// shadow is what one event's replay would change.
type shadow struct {
	ID   string `json:"id"`
	Type string `json:"type"`
	replay.Preview
	Error  string `json:"error"`
	Reason string `json:"reason"`
}

// replayed is what a replay did with one event.
type replayed struct {
	ID         string           `json:"id"`
	Type       string           `json:"type"`
	Action     string           `json:"action"`
	Generation int64            `json:"generation"`
	Note       string           `json:"note"`
	Error      string           `json:"error"`
	Hint       string           `json:"hint"`
	Record     *verb.RecordView `json:"record"`
}

func replayJobOf(v console.JobView) replayJob {
	r := replayJob{jobView: jobView{v, job.ProgressOf(v)}, Shadow: v.Title == shadowTitle}
	r.IDs, _ = v.Plan.([]string)
	if r.Shadow {
		r.Shadows = job.Lines[shadow](v)
	} else {
		r.Results = job.Lines[replayed](v)
	}
	return r
}

// Fails says what happens to an event whose handler fails, "" if it does not.
func (s shadow) Fails() string {
	switch {
	case s.Error == "":
		return ""
	case s.Reason == "refused":
		return "it was not run"
	case s.Reason != "":
		return "the event would be dead-lettered, reason " + s.Reason
	}
	return "the event would be retried"
}

// change is one effect for the page.
type change struct {
	replay.Change
	Verdict, Tone string
	After         string // head of the second side
	Open          bool   // both sides have values: they are what to compare
	Rows          []diff
}

// diff is a field now, and after a replay.
type diff struct{ Name, Old, New string }

// Diff are the effects, each with its fields side by side.
func (s shadow) Diff() (list []change) {
	verdicts := map[string][2]string{
		replay.WouldInsert:   {"would be inserted", "info"},
		replay.IsThere:       {"exists and stays as it is", "mute"},
		replay.WouldChange:   {"would change", "warn"},
		replay.Unchanged:     {"would be written with the same fields", "mute"},
		replay.WouldRunAgain: {"changed while the handler ran: it would run again", "warn"},
		replay.Holds:         {"is checked, and the check holds", "ok"},
		replay.DoesNotHold:   {"is checked, and the check fails", "bad"},
	}
	for _, c := range s.Changes {
		words := verdicts[c.Verdict]
		v := change{Change: c, Verdict: cmp.Or(words[0], c.Verdict), Tone: cmp.Or(words[1], "mute"), After: "After a replay", Open: c.Verdict != replay.WouldInsert}
		if c.Verdict == replay.IsThere {
			v.After = "What the handler returns, not written"
		}
		for _, f := range c.Fields {
			v.Rows = append(v.Rows, diff{f.Name, side(f.Was, f.Old), side(f.Is, f.New)})
		}
		list = append(list, v)
	}
	return list
}

// side is a field's value as JSON, "" if there is none.
func side(is bool, value any) string {
	if !is {
		return ""
	}
	raw, err := json.Marshal(value)
	if err != nil {
		return "?"
	}
	return strings.TrimSpace(string(raw))
}
