package fix

import (
	"context"
	"net/http"
	"time"

	"tollgate/pkg/cmd/tollgate/console/job"
	"tollgate/pkg/cmd/tollgate/outbox"
	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/console"
)

const mailPath = "/mail"

func mailPages(a *verb.App) []console.Page {
	return []console.Page{
		{Path: mailPath, Title: "Held mail", Nav: "Fix/Held mail", Views: console.Parse(templates, "mail.html", "jobs.html"), Every: 10 * time.Second,
			Load: func(ctx context.Context, r *http.Request) (any, error) {
				v := mailView{Jobs: jobsAt(console.JobsOf(ctx), mailPath+"/"), Form: values(r.URL.Query())}
				list := outbox.List{Limit: 100, Cursor: v.Form.Get("cursor"), Held: v.Form.Get("show") == "", Unsent: v.Form.Get("show") == "unsent"}
				list.Type, list.Since, list.Before = v.Form.Get("type"), v.Form.Get("since"), v.Form.Get("before")
				var err error
				v.Messages, v.Next, err = list.Load(ctx, a)
				return v, err
			}},
		{Path: mailPath + "/{id}", Title: "Held mail", Nav: "Fix/Held mail", Views: console.Parse(templates, "mail_job.html", "jobs.html"), Every: every,
			Load: func(ctx context.Context, r *http.Request) (any, error) {
				v, err := console.JobsOf(ctx).Get(r.PathValue("id"))
				return mailJob{jobView{v, job.ProgressOf(v)}, job.Last[outbox.Result](v)}, err
			}},
	}
}

func mailForms() []job.Form {
	return []job.Form{{
		Path: mailPath + "/release", Page: mailPath + "/", Title: "Release held mail", Name: "outbox release", New: func() job.Verb { return &outbox.Release{} },
		Flags: []string{"type", "since", "before", "note"}, Bools: []string{"all"}, Args: "key",
	}}
}

type mailView struct {
	Jobs     []console.JobView
	Form     values
	Messages []outbox.View
	Next     string // cursor of the next page
}

type mailJob struct {
	jobView
	Result *outbox.Result
}
