package verb

import (
	"context"
	"io"
	"regexp"
	"strings"

	"github.com/alecthomas/kong"
)

// Job is where a verb runs without a terminal, for example behind a page.
type Job struct {
	Out, Err io.Writer // the result as JSON; progress and audit entries as lines, from several goroutines
	// Ask shows what is about to be changed and its plan, if the verb has one. It returns
	// nil once that is confirmed; after an error nothing is changed.
	Ask func(ctx context.Context, what string, plan any) error
}

// ForJob returns the same command for one job. It asks the job's Ask, also about a local system.
func (a *App) ForJob(j Job) *App {
	b := *a
	b.Streams, b.JSON, b.Verbose, b.ask, b.reach = Streams{Out: j.Out, Err: j.Err}, true, true, j.Ask, &reach{}
	return &b
}

// Failure returns what the command prints about an error: its text, and what to do next.
func (a *App) Failure(err error) (text, next string) {
	text = strings.ReplaceAll(err.Error(), context.Canceled.Error(), "interrupted") // only Ctrl-C or a stop cancels a verb
	return strings.TrimSpace(text), a.HintOf(err)
}

// Parse reads a verb's arguments, as they are typed after its name, into a pointer to its
// struct, with the defaults and checks of the command line.
func Parse(verb any, args []string) error {
	k, err := kong.New(verb, kong.NoDefaultHelp(), kong.Writers(io.Discard, io.Discard))
	if err != nil {
		return err
	}
	if _, err := k.Parse(args); err != nil {
		return Usage("%v", err)
	}
	return nil
}

// CommandLine returns what to type in a shell to run a verb on the same system. name is the
// verb as it is typed.
func (a *App) CommandLine(name string, args ...string) string {
	words := []string{"tollgate " + name}
	switch {
	case a.Stack != "":
		words = append(words, "--stack="+a.Stack)
	case !a.Env.Named() && a.Data != DefaultData:
		words = append(words, "--data="+a.Data)
	}
	words = append(words, args...)
	for i, w := range words[1:] {
		words[i+1] = quoted(w)
	}
	return strings.Join(words, " ")
}

var plainWord = regexp.MustCompile(`^[A-Za-z0-9_@%+=:,./-]+$`)

// quoted returns a word as a shell reads it back. What follows a flag's = is quoted alone.
func quoted(word string) string {
	if plainWord.MatchString(word) {
		return word
	}
	flag := ""
	if name, value, ok := strings.Cut(word, "="); ok && strings.HasPrefix(name, "--") && plainWord.MatchString(name) {
		flag, word = name+"=", value
	}
	return flag + "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
