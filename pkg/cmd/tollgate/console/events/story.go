package events

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"tollgate/pkg/cmd/tollgate/deadletters"
	"tollgate/pkg/cmd/tollgate/events"
	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/console"
)

// storyView is the data of the story of one event.
type storyView struct {
	events.Story
	Stripe   []link // its pages in Stripe's Dashboard
	Longer   string // query that searches more of the logs, "" if all was searched
	Command  string
	body     body
	Read     bool      // its JSON is shown
	Until    time.Time // when it is forgotten
	ReadFrom string
}

type link struct{ Text, URL string }

const longer = 72 * time.Hour

// story tells what happened to an event. An event that nothing knows yet has a page too, which
// updates itself.
func (p *pages) story(ctx context.Context, r *http.Request) (any, error) {
	id, q := r.PathValue("id"), r.URL.Query()
	var more time.Duration
	if q.Get("log") != "" {
		more = longer
	}
	t, err := p.app.Target(ctx)
	if err != nil {
		return nil, err
	}
	age := storyAge
	if t.Local {
		age = 0
	}
	v := storyView{Command: p.app.CommandLine("events show", id, "--story")}
	v.Story, err = p.stories.get(id+" "+q.Get("log"), age, func() (events.Story, error) {
		return events.Tell(ctx, p.app.ForJob(verb.Job{Out: io.Discard, Err: io.Discard}), id, more)
	})
	if err != nil {
		return nil, err
	}
	if more == 0 && v.Known && !t.Local {
		v.Longer = "?log=72h"
	}
	v.body, v.Until, v.Read = p.bodies.of(id, q.Get("json"))
	v.ReadFrom = v.body.source
	v.Stripe = dashboard(v.Mode, v.Account, "events/"+url.PathEscape(id))
	return v, nil
}

// dashboard returns the links to a page in Stripe's Dashboard: in both modes if it is unknown.
func dashboard(mode, account, page string) (links []link) {
	modes := []string{mode}
	if mode == "" {
		modes = []string{"live", "test"}
	}
	for _, m := range modes {
		text := "Stripe, " + m + " mode"
		if account != "" && account != "-" {
			text += ", " + account
		}
		links = append(links, link{text, events.StripeURL(m, account, page)})
	}
	return links
}

// Object returns the link to the object that a key names, in Stripe's Dashboard; no text if its page
// is not known.
func (v storyView) Object(key string) link {
	for part := range strings.SplitSeq(key, "#") {
		prefix, rest, _ := strings.Cut(part, "_")
		pages := map[string]string{
			"cus": "customers", "sub": "subscriptions", "in": "invoices", "pi": "payments", "ch": "payments", "py": "payments", "po": "payouts", "prod": "products",
		}
		if rest != "" && pages[prefix] != "" && v.Mode != "" {
			return link{part, events.StripeURL(v.Mode, v.Account, pages[prefix]+"/"+url.PathEscape(part))}
		}
	}
	return link{}
}

// Field is a stored attribute as text.
type Field struct{ Name, Value string }

// Fields are an item's attributes in order, without what has its own place on the page.
func (v storyView) Fields(w events.Written) (list []Field) {
	for name, value := range w.Fields {
		if slices.Contains([]string{"pk", "lst", "at", "missing", "ver", "event_id", "mode", "account", "outbox"}, name) || value == "" || value == nil {
			continue
		}
		text, isText := value.(string)
		if !isText {
			raw, _ := json.Marshal(value)
			text = string(raw)
		}
		list = append(list, Field{name, verb.Clip(text, 300)})
	}
	slices.SortFunc(list, func(a, b Field) int { return cmp.Compare(a.Name, b.Name) })
	return list
}

// KilledFirst says which attempts no page can show.
func (storyView) KilledFirst() string { return events.KilledFirst }

// Fingerprint of the last failure, "" without one.
func (v storyView) Fingerprint() string {
	for _, a := range slices.Backward(v.Attempts) {
		if a.Fingerprint != "" && v.Error != "" {
			return a.Fingerprint
		}
	}
	return ""
}

// Tree is the event's JSON; what is not JSON is shown as it is.
func (v storyView) Tree() (out struct {
	Root        node
	Differences []difference
	Raw, Why    string
}) {
	var err error
	if out.Root, err = tree(v.body.text); err != nil {
		out.Raw, out.Why = verb.Clip(v.body.text, 100_000), err.Error()
		return out
	}
	out.Differences = differences(out.Root)
	return out
}

// readJSON fetches an event's JSON from Stripe, or from its dead letter, by the verbs that audit it,
// and keeps it for a few minutes. The address gets a random key.
func (p *pages) readJSON(ctx context.Context, form url.Values, _ *console.Jobs) (string, error) {
	id, note := form.Get("id"), form.Get("note")
	b := body{event: id, source: "Stripe"}
	var out bytes.Buffer
	run := p.app.ForJob(verb.Job{Out: &out, Err: io.Discard})
	var err error
	if form.Get("from") == "queue" {
		b.source = "its dead letter"
		var show deadletters.Show
		if err = verb.Parse(&show, []string{"--payload", "--note=" + note, "--", id}); err == nil {
			err = show.Run(ctx, run)
		}
		var letter struct{ Payload *string }
		if err == nil && (json.Unmarshal(out.Bytes(), &letter) != nil || letter.Payload == nil) {
			err = verb.Hint(errors.New("the dead letter has no JSON"), "Stripe has the event for 30 days: read it from there")
		}
		if err == nil {
			b.text = *letter.Payload
		}
	} else {
		args := []string{"--note=" + note}
		if account := strings.TrimSpace(form.Get("account")); account != "" {
			args = append(args, "--account="+account)
		}
		var payload events.Payload
		if err = verb.Parse(&payload, append(args, "--", id)); err == nil {
			err = payload.Run(ctx, run)
		}
		b.text = strings.TrimSpace(out.String())
	}
	if err != nil {
		text, next := run.Failure(err)
		if verb.IsUsage(err) {
			return "", verb.Hint(verb.Usage("%s", text), "%s", next)
		}
		return "", verb.Hint(errors.New(text), "%s", next)
	}
	return path + "/" + url.PathEscape(id) + "?json=" + p.bodies.keep(b) + "#json", nil
}
