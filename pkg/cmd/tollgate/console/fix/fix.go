// Package fix has the console's pages that change the system: dead letters, replay, paused
// types and held messages. Each change is a verb that runs as a job: it plans, asks on the
// job's page, and then changes what it planned.
package fix

import (
	"embed"
	"html/template"
	"net/url"
	"slices"
	"strings"
	"time"

	"tollgate/pkg/cmd/tollgate/console/job"
	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/console"
)

//go:embed *.html
var templates embed.FS

// every is the time between updates of a page whose job runs.
const every = time.Second

// Pages are the views.
func Pages(a *verb.App) []console.Page {
	return slices.Concat(deadPages(a), replayPages(a), mailPages(a), pausePages(a))
}

// Actions are the changes.
func Actions(a *verb.App) (actions []console.Action) {
	for _, f := range forms() {
		actions = append(actions, f.Action(a))
	}
	return actions
}

func forms() []job.Form { return slices.Concat(deadForms(), replayForms(), mailForms(), pauseForms()) }

// values are a form's fields, prefilled from a page's address.
type values url.Values

// Get returns a field, or what it is without one.
func (v values) Get(name string, without ...string) string {
	if got := url.Values(v).Get(name); got != "" || len(without) == 0 {
		return got
	}
	return without[0]
}

// jobsAt returns the jobs of a page, the newest first.
func jobsAt(jobs *console.Jobs, page string) (list []console.JobView) {
	for _, v := range jobs.List() {
		if strings.HasPrefix(v.Path, page) {
			list = append(list, v)
		}
	}
	return list
}

// jobView is the data of a job's page.
type jobView struct {
	Job console.JobView
	job.Progress
}

// Edit is the page with the form as it was filled in.
func (v jobView) Edit(page string) template.URL {
	return template.URL(page + "?" + v.Job.Form.Encode())
}
