// Package job runs the command's verbs as jobs of the console, so that check, lock, audit and
// hints are the verb's own.
package job

import (
	"context"
	"io"

	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/console"
)

// Verb is a verb with its flags set.
type Verb interface {
	Run(ctx context.Context, a *verb.App) error
}

// Start runs a verb as a job and returns the path of the job's page. name and args are the
// equivalent command line, for example "redrive" and "--type=invoice.paid".
func Start(jobs *console.Jobs, a *verb.App, title string, v Verb, name string, args ...string) string {
	id := jobs.Start(title, a.CommandLine(name, args...), func(ctx context.Context, out, progress io.Writer) error {
		confirmed := func(context.Context, string, any) error { return nil }
		return v.Run(ctx, a.ForJob(verb.Job{Out: out, Err: progress, Ask: confirmed}))
	})
	return "/jobs/" + id
}
