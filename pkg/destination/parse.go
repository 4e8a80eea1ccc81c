package destination

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"tollgate/pkg/event"
	"tollgate/pkg/limits"
)

// Place is where the configuration applies.
type Place string

const (
	Deployed Place = "deployed" // on AWS
	Local    Place = "local"    // http and loopback addresses are allowed
)

// Bounds and defaults.
const (
	// MaxText leaves room for a function's other variables: Lambda allows 4 KB in all.
	MaxText = 3_000

	MaxTimeout     = limits.SendTimeout
	minTimeout     = time.Second
	maxRate        = 1_000
	maxConcurrency = 100
	maxPatterns    = 50
	maxPattern     = 100

	deadGroup = "dead" // its queue would be the dead-letter queue of deliveries

	defaultRate        = 50
	defaultConcurrency = 20
)

// form is a destination as the configuration has it.
type form struct {
	Type     Type     `json:"type"`
	Group    string   `json:"group"`
	Messages []string `json:"messages"`
	Events   []string `json:"events"`
	Livemode *[]bool  `json:"livemode"`
	Accounts []string `json:"accounts"`
	Body     string   `json:"body"`
	History  bool     `json:"history"`

	Rate        *int   `json:"rate"`
	Concurrency *int   `json:"concurrency"`
	Timeout     string `json:"timeout"`

	URL          string            `json:"url"`
	Secret       string            `json:"secret"`
	Headers      map[string]string `json:"headers"`
	Allow        []string          `json:"allow"`
	InsecureHTTP bool              `json:"insecure_http"`

	Queue    string `json:"queue"`
	Bus      string `json:"bus"`
	Source   string `json:"source"`
	Topic    string `json:"topic"`
	From     string `json:"from"`
	To       string `json:"to"`
	Language string `json:"language"`
}

// Parse reads the destinations, one JSON object by name; "" is none. The error has every fault.
func Parse(text string, at Place) (Set, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	if at == Deployed && len(text) > MaxText {
		return nil, fmt.Errorf("destinations have %d bytes, at most %d fit a function's environment", len(text), MaxText)
	}
	forms, err := decode(text)
	if err != nil {
		return nil, err
	}
	set, c := Set{}, checker{place: at, re: compile()}
	for _, name := range slices.Sorted(maps.Keys(forms)) {
		c.name = name
		set[name] = c.destination(forms[name])
	}
	c.groups(set)
	return set, errors.Join(c.faults...)
}

// decode refuses unknown and duplicate members.
func decode(text string) (map[string]form, error) {
	if err := unique(json.NewDecoder(strings.NewReader(text)), 0); err != nil {
		return nil, fmt.Errorf("destinations: %w", err)
	}
	dec := json.NewDecoder(strings.NewReader(text))
	dec.DisallowUnknownFields()
	var forms map[string]form
	if err := dec.Decode(&forms); err != nil || forms == nil {
		return nil, fmt.Errorf("destinations are not an object of destinations by name: %w", errors.Join(err))
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, errors.New("destinations have text after their JSON object")
	}
	return forms, nil
}

// unique reports a name that an object has twice: encoding/json keeps the last one, and compares
// names without case.
func unique(dec *json.Decoder, depth int) error {
	t, err := dec.Token()
	if err != nil || depth > 5 {
		return err
	}
	delim, opens := t.(json.Delim)
	if !opens {
		return nil
	}
	seen := map[string]bool{}
	for dec.More() {
		if delim == '{' {
			t, err := dec.Token()
			if err != nil {
				return err
			}
			name := strings.ToLower(t.(string))
			if seen[name] {
				return fmt.Errorf("duplicate member %.40q", name)
			}
			seen[name] = true
		}
		if err := unique(dec, depth+1); err != nil {
			return err
		}
	}
	_, err = dec.Token()
	return err
}

// checker collects the faults of all destinations.
type checker struct {
	place  Place
	re     expressions
	name   string
	faults []error
}

func (c *checker) fault(format string, args ...any) {
	c.faults = append(c.faults, fmt.Errorf("destination %.40q "+format, append([]any{c.name}, args...)...))
}

// expressions are compiled at a Parse with destinations: every function links this package, and most
// starts read none.
type expressions struct {
	named, pattern, account, headerName, printable, secretName, arn, eventFrom, language *regexp.Regexp
}

func compile() expressions {
	return expressions{
		named:      regexp.MustCompile(`^[a-z0-9-]{1,32}$`),
		pattern:    regexp.MustCompile(`^([A-Za-z0-9_.-]+\*?|\*)$`),
		account:    regexp.MustCompile(`^(-|acct_[A-Za-z0-9]+)$`),
		headerName: regexp.MustCompile(`^[A-Za-z0-9-]+$`),
		printable:  regexp.MustCompile(`^[\x20-\x7e]*$`),
		secretName: regexp.MustCompile(`^[A-Za-z0-9/_+=.@:-]+$`),
		arn:        regexp.MustCompile(`^arn:aws[a-z-]*:([a-z0-9-]+):[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9/_.-]+$`),
		eventFrom:  regexp.MustCompile(`^[A-Za-z0-9/_.-]+$`),
		language:   regexp.MustCompile(`^[a-z]{2}(-[A-Z]{2})?$`),
	}
}

func (c *checker) destination(f form) Destination {
	d := Destination{
		Name: c.name, Type: f.Type, Group: f.Group, Messages: f.Messages, Events: f.Events, History: f.History,
		URL: f.URL, Secret: f.Secret, Headers: f.Headers, InsecureHTTP: f.InsecureHTTP,
		Queue: f.Queue, Bus: f.Bus, Source: f.Source, Topic: f.Topic, From: f.From, To: f.To, Language: f.Language,
	}
	if d.Group == "" {
		d.Group = c.name
	}
	for what, text := range map[string]string{"name": c.name, "group": d.Group} {
		if !c.re.named.MatchString(text) {
			c.fault("has a bad %s: use 1 to 32 of a-z, 0-9 and -", what)
		}
	}
	if d.Group == deadGroup {
		c.fault("is of group %s, the name of the dead-letter queue", deadGroup)
	}
	c.onlyOf(f)
	c.selection(&d, f)
	c.limits(&d, f)
	switch d.Type {
	case HTTP:
		c.http(&d, f)
	case SQS:
		c.queueURL(d.Queue)
	case EventBridge:
		c.bus(&d)
	case SNS:
		c.arn("topic", d.Topic, "sns")
	case Email:
		c.email(&d)
	default:
		c.fault("has no type: use http, sqs, eventbridge, sns or email")
	}
	return d
}

// onlyOf reports members that belong to other types.
func (c *checker) onlyOf(f form) {
	for _, m := range []struct {
		name string
		set  bool
		of   []Type
	}{
		{"url", f.URL != "", []Type{HTTP}}, {"secret", f.Secret != "", []Type{HTTP}}, {"headers", f.Headers != nil, []Type{HTTP}},
		{"allow", f.Allow != nil, []Type{HTTP}}, {"insecure_http", f.InsecureHTTP, []Type{HTTP}},
		{"queue", f.Queue != "", []Type{SQS}}, {"bus", f.Bus != "", []Type{EventBridge}}, {"source", f.Source != "", []Type{EventBridge}},
		{"topic", f.Topic != "", []Type{SNS}}, {"from", f.From != "", []Type{Email}}, {"to", f.To != "", []Type{Email}},
		{"language", f.Language != "", []Type{Email}},
		{"events", f.Events != nil, []Type{HTTP, SQS, EventBridge, SNS}}, {"body", f.Body != "", []Type{HTTP, SQS, EventBridge, SNS}},
	} {
		if m.set && !slices.Contains(m.of, f.Type) {
			c.fault("has %s, which type %.20q does not take", m.name, f.Type)
		}
	}
}

// selection reads which messages the destination takes.
func (c *checker) selection(d *Destination, f form) {
	if len(f.Messages)+len(f.Events) == 0 {
		c.fault("takes nothing: list messages or events")
	}
	c.patterns("messages", f.Messages)
	c.patterns("events", f.Events)
	for _, p := range f.Messages {
		if strings.HasPrefix(p, event.ForwardedPrefix) {
			c.fault("names Stripe's events in messages: list their types in events, without %s", event.ForwardedPrefix)
		}
	}
	if f.Livemode != nil {
		if d.Livemode = *f.Livemode; len(d.Livemode) == 0 {
			c.fault("has an empty livemode list: omit it or list true, false or both")
		}
	} else if d.Type == Email {
		d.Livemode = []bool{true} // people get no mail about test objects unless it is asked for
	}
	if f.Accounts != nil && len(f.Accounts) == 0 {
		c.fault(`has an empty accounts list: omit it, or list accounts and "-" for the platform's own`)
	}
	for _, a := range f.Accounts {
		if !c.re.account.MatchString(a) {
			c.fault(`lists an account that is neither acct_… nor "-"`)
		}
		d.Accounts = append(d.Accounts, strings.TrimPrefix(a, "-"))
	}
	switch f.Body {
	case "", "thin":
	case "whole":
		d.Whole = true
	default:
		c.fault("has a body that is neither thin nor whole")
	}
}

func (c *checker) patterns(what string, list []string) {
	if len(list) > maxPatterns {
		c.fault("has %d %s, at most %d", len(list), what, maxPatterns)
	}
	for i, p := range list {
		switch {
		case len(p) > maxPattern || !c.re.pattern.MatchString(p):
			c.fault("has a bad pattern in %s: write a name, or a prefix and * at its end", what)
		case slices.Contains(list[:i], p):
			c.fault("has a duplicate pattern in %s: %q", what, p)
		}
	}
}

func (c *checker) limits(d *Destination, f form) {
	d.Rate = float64(c.number("rate", f.Rate, defaultRate, maxRate))
	d.Concurrency = c.number("concurrency", f.Concurrency, defaultConcurrency, maxConcurrency)
	d.Timeout = MaxTimeout
	if f.Timeout != "" {
		t, err := time.ParseDuration(f.Timeout)
		if err != nil || t < minTimeout || t > MaxTimeout {
			c.fault("has a timeout that is not a duration from %v to %v", minTimeout, MaxTimeout)
			return
		}
		d.Timeout = t
	}
}

func (c *checker) number(what string, n *int, missing, most int) int {
	if n == nil {
		return missing
	}
	if *n < 1 || *n > most {
		c.fault("has a %s that is not from 1 to %d", what, most)
	}
	return *n
}

// groups reports destinations of one group whose limits differ: they share one queue.
func (c *checker) groups(set Set) {
	first := map[string]Destination{}
	for _, name := range slices.Sorted(maps.Keys(set)) {
		d := set[name]
		f, known := first[d.Group]
		if !known {
			first[d.Group] = d
			continue
		}
		if c.name = name; d.Rate != f.Rate || d.Concurrency != f.Concurrency || d.Timeout != f.Timeout {
			c.fault("has other limits than %q of its group: use the same rate, concurrency and timeout", f.Name)
		}
	}
}
