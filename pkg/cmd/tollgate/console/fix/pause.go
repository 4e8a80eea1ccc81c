package fix

import (
	"context"
	"net/http"
	"slices"
	"time"

	"tollgate/pkg/cmd/tollgate/console/job"
	"tollgate/pkg/cmd/tollgate/hold"
	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/console"
	"tollgate/pkg/handlers"
	"tollgate/pkg/pause"
)

const pausePath = "/pause"

func pausePages(a *verb.App) []console.Page {
	const nav = "Fix/Pause"
	return []console.Page{
		{Path: pausePath, Title: "Pause", Nav: nav, Views: console.Parse(templates, "pause.html", "jobs.html"), Every: 5 * time.Second,
			Load: func(ctx context.Context, r *http.Request) (any, error) {
				now, err := hold.Load(ctx, a)
				return pauseView{now, jobsAt(console.JobsOf(ctx), pausePath+"/"), values(r.URL.Query())}, err
			}},
		{Path: pausePath + "/{id}", Title: "Pause", Nav: nav, Views: console.Parse(templates, "pause_job.html", "jobs.html"), Every: every,
			Load: func(ctx context.Context, r *http.Request) (any, error) {
				v, err := console.JobsOf(ctx).Get(r.PathValue("id"))
				return pauseJobOf(v), err
			}},
	}
}

func pauseForms() []job.Form {
	return []job.Form{
		{Path: pausePath + "/set", Page: pausePath + "/", Title: "Pause", Name: "pause", New: func() job.Verb { return &hold.Pause{} }, Flags: []string{"note"}, Bools: []string{"all"}, Args: "type"},
		{Path: pausePath + "/resume", Page: pausePath + "/", Title: "Resume", Name: "resume", New: func() job.Verb { return &hold.Resume{} }, Flags: []string{"rate", "note"}, Bools: []string{"all"}, Args: "type"},
		{Path: pausePath + "/list", Page: pausePath + "/", Title: "Count held events", Name: "hold list", New: func() job.Verb { return &hold.List{} }, Bools: []string{"wait-hidden"}},
	}
}

type pauseView struct {
	hold.Now
	Jobs []console.JobView
	Form values
}

// All is the pause of everything, nil without one.
func (v pauseView) All() *hold.View {
	if i := slices.IndexFunc(v.Views, func(w hold.View) bool { return w.Type == pause.All }); i >= 0 {
		return &v.Views[i]
	}
	return nil
}

// Types are the event types that can be paused.
func (v pauseView) Types() (list []string) {
	for _, t := range handlers.Types() {
		if !slices.ContainsFunc(v.Views, func(w hold.View) bool { return w.Type == t && w.State == hold.Paused }) {
			list = append(list, t)
		}
	}
	slices.Sort(list)
	return list
}

// pauseJob is a job of the page, and what its verb printed.
type pauseJob struct {
	jobView
	Held    []hold.View
	Paused  *hold.View
	Resumed *hold.Resumed
}

func pauseJobOf(v console.JobView) pauseJob {
	p := pauseJob{jobView: jobView{v, job.ProgressOf(v)}}
	switch v.Kind {
	case "hold list":
		p.Held = job.Lines[hold.View](v)
	case "pause":
		p.Paused = job.Last[hold.View](v)
	case "resume":
		p.Resumed = job.Last[hold.Resumed](v)
	}
	return p
}
