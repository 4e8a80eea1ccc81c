package fix

import (
	"context"
	"net/http"
	"time"

	"tollgate/pkg/cmd/tollgate/console/job"
	"tollgate/pkg/cmd/tollgate/deadletters"
	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/console"
	"tollgate/pkg/redrive"
)

// deadPath is the page of dead letters; its jobs are below it.
const deadPath = "/dead"

func deadPages(a *verb.App) []console.Page {
	const nav = "Fix/Dead letters"
	return []console.Page{
		{Path: deadPath, Title: "Dead letters", Nav: nav, Views: console.Parse(templates, "dead.html", "jobs.html"), Every: 5 * time.Second,
			Load: func(ctx context.Context, r *http.Request) (any, error) {
				state, err := deadletters.Load(ctx, a)
				return deadView{state, jobsAt(console.JobsOf(ctx), deadPath+"/"), values(r.URL.Query()), newFile()}, err
			}},
		{Path: deadPath + "/{id}", Title: "Dead letters", Nav: nav, Views: console.Parse(templates, "dead_job.html", "jobs.html"), Every: every,
			Load: func(ctx context.Context, r *http.Request) (any, error) {
				v, err := console.JobsOf(ctx).Get(r.PathValue("id"))
				return deadJobOf(v), err
			}},
	}
}

func deadForms() []job.Form {
	form := func(path, name, title string, of func() job.Verb, flags []string, bools ...string) job.Form {
		return job.Form{Path: deadPath + path, Page: deadPath + "/", Title: title, Name: name, New: of, Flags: flags, Bools: append(bools, "wait-hidden")}
	}
	filter := func(more ...string) []string {
		return append([]string{"type", "error", "reason", "account", "id", "since", "until", "note"}, more...)
	}
	// A job's output is kept and shown: events' bodies must go into a file.
	export := form("/export", "dlq export", "Export dead letters", func() job.Verb { return &deadletters.Export{} }, filter("out"), "payload")
	export.Needs = "out"
	return []job.Form{
		export,
		form("/list", "dlq list", "List dead letters", func() job.Verb { return &deadletters.List{} }, nil),
		form("/redrive", "redrive", "Redrive dead letters", func() job.Verb { return &deadletters.Redrive{} }, filter("rate", "limit", "canary", "timeout"), "all", "wait"),
		form("/purge", "dlq purge", "Purge dead letters", func() job.Verb { return &deadletters.Purge{} }, filter("out"), "all", "payload"),
	}
}

type deadView struct {
	deadletters.State
	Jobs []console.JobView
	Form values
	File string // for an export
}

func newFile() string {
	return "dead-letters-" + time.Now().UTC().Format("20060102T150405Z") + ".jsonl"
}

// deadJob is a job on dead letters, and what its verb printed.
type deadJob struct {
	jobView
	Plan    *redrive.Plan   // it asks about
	Groups  []redrive.Group // of a list
	Seen    *seen           // by a list
	Sent    *redriven
	Purged  *purged
	Written *written
}

type seen struct {
	Read    int  `json:"read"`
	Hidden  int  `json:"hidden"`
	Certain bool `json:"certain"`
}

type redriven struct {
	Read     int `json:"read"`
	Selected int `json:"selected"`
	redrive.Result
	Held *int `json:"held"`
}

type purged struct {
	Read     int `json:"read"`
	Selected int `json:"selected"`
	redrive.Purged
	File string `json:"file"`
}

type written struct {
	File    string `json:"file"`
	Letters int    `json:"letters"`
}

func deadJobOf(v console.JobView) deadJob {
	d := deadJob{jobView: jobView{v, job.ProgressOf(v)}}
	d.Plan, _ = v.Plan.(*redrive.Plan)
	switch v.Kind {
	case "dlq list":
		d.Groups = job.Lines[redrive.Group](v)
		d.Seen = job.Note[seen](v)
	case "redrive":
		d.Sent = job.Last[redriven](v)
	case "dlq purge":
		d.Purged = job.Last[purged](v)
	case "dlq export":
		d.Written = job.Last[written](v)
	}
	return d
}
