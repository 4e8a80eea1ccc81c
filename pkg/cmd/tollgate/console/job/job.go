// Package job runs the command's verbs as jobs of the console, so that plan, check, lock, audit
// and hints are the verb's own: the fields of a form are its flags.
package job

import (
	"context"
	"net/url"
	"strings"

	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/console"
)

// Verb is a pointer to a verb's struct.
type Verb interface {
	Run(ctx context.Context, a *verb.App) error
}

// Form is a form that runs a verb. A verb that asks before it changes something asks on the
// job's page.
type Form struct {
	Path  string // of the POST
	Page  string // of the jobs, before their ids; default: /jobs/
	Title string
	Name  string      // of the verb, as it is typed
	New   func() Verb // without arguments

	Flags  []string // fields that are flags with a value; an empty one is left out
	Bools  []string // fields that are flags without a value, such as a checkbox
	Args   string   // field with positional arguments, separated by space or comma; "" for none
	Always []string // arguments that are always given
	Needs  string   // flag that the verb can do without, and a page cannot; "" for none
}

// Action returns the form's action. Arguments that the verb cannot read are refused at once.
func (f Form) Action(a *verb.App) console.Action {
	return console.Action{Path: f.Path, Do: func(_ context.Context, form url.Values, jobs *console.Jobs) (string, error) {
		if f.Needs != "" && strings.TrimSpace(form.Get(f.Needs)) == "" {
			return "", verb.Usage("the field for --%s is empty: go back and fill it in", f.Needs)
		}
		args := f.arguments(form)
		if err := verb.Parse(f.New(), args); err != nil {
			return "", err
		}
		return jobs.Start(console.NewJob{Title: f.Title, Kind: f.Name, Command: a.CommandLine(f.Name, args...), Page: f.Page, Form: form, Run: func(ctx context.Context, io console.JobIO) error {
			v := f.New()
			if err := verb.Parse(v, args); err != nil {
				return err
			}
			own := a.ForJob(verb.Job{Out: io.Out, Err: io.Progress, Ask: io.Ask})
			err := v.Run(ctx, own)
			if err == nil {
				return nil
			}
			text, next := own.Failure(err)
			return verb.Hint(failure{text, err}, "%s", next)
		}}), nil
	}}
}

// failure is a verb's error with the text that the command prints. The console knows that of a plan
// that became old.
type failure struct {
	text string
	err  error
}

func (f failure) Error() string { return f.text }
func (f failure) Unwrap() error { return f.err }

// arguments are typed so that no value can be read as a flag.
func (f Form) arguments(form url.Values) []string {
	args := append([]string{}, f.Always...)
	for _, name := range f.Flags {
		for _, value := range form[name] {
			if value = strings.TrimSpace(value); value != "" {
				args = append(args, "--"+name+"="+value)
			}
		}
	}
	for _, name := range f.Bools {
		if form.Get(name) != "" {
			args = append(args, "--"+name)
		}
	}
	var words []string
	for _, value := range form[f.Args] {
		words = append(words, strings.FieldsFunc(value, func(r rune) bool { return strings.ContainsRune(" \t\r\n,", r) })...)
	}
	for _, w := range words {
		if strings.HasPrefix(w, "-") {
			args = append(args, "--")
			break
		}
	}
	return append(args, words...)
}
