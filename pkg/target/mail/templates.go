package mail

import (
	"embed"
	"errors"
	"fmt"
	htmltemplate "html/template"
	"io/fs"
	"strings"
	texttemplate "text/template"
	"unicode"

	"tollgate/pkg/outbox"
)

//go:embed templates
var embedded embed.FS

// layout is the page around the content of every HTML template.
const layout = "layout.html"

// ErrNoTemplate means that a message has no template: nothing is mailed about it.
var ErrNoTemplate = errors.New("the message has no mail template")

// Audience is who gets a mail.
type Audience string

const (
	Customer Audience = "customer"
	Business Audience = "business"
)

// Templates are the texts of all messages in all languages. Safe for concurrent use.
type Templates struct {
	languages map[string]map[string]mailTemplate // by language and message name
}

type mailTemplate struct {
	audience Audience
	subject  *texttemplate.Template
	text     *texttemplate.Template
	html     *htmltemplate.Template
	links    bool // the text has the address of the invoice's page
}

// Content is a rendered mail.
type Content struct {
	Audience            Audience
	Subject, Text, HTML string
}

// Options are what a mail depends on besides its message.
type Options struct {
	Language string // one with templates
	Business string // name of the business, as the signature
	Link     string // of the invoice's page at Stripe, "" for none
}

// Load parses the templates in this package's folder. Its error names every faulty one.
func Load() (*Templates, error) {
	dir, err := fs.Sub(embedded, "templates")
	if err != nil {
		return nil, err
	}
	return load(dir)
}

func load(dir fs.FS) (*Templates, error) {
	t := &Templates{languages: map[string]map[string]mailTemplate{}}
	paths, err := fs.Glob(dir, "*/*.txt")
	if err != nil || len(paths) == 0 {
		return nil, errors.Join(errors.New("there are no mail templates"), err)
	}
	var errs []error
	audiences := map[string]Audience{}
	for _, path := range paths {
		language, file, _ := strings.Cut(path, "/")
		name := strings.TrimSuffix(file, ".txt")
		parsed, err := parse(dir, path, strings.TrimSuffix(path, ".txt")+".html")
		if _, known := formats[language]; !known {
			err = errors.Join(err, errors.New("its language has no entry in formats"))
		}
		if other, known := audiences[name]; known && other != parsed.audience {
			err = errors.Join(err, errors.New("it is to another audience than in another language"))
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("mail template %s: %w", path, err))
		}
		audiences[name] = parsed.audience
		if t.languages[language] == nil {
			t.languages[language] = map[string]mailTemplate{}
		}
		t.languages[language][name] = parsed
	}
	return t, errors.Join(errs...)
}

func parse(dir fs.FS, textPath, htmlPath string) (t mailTemplate, err error) {
	source, err := fs.ReadFile(dir, textPath)
	if err != nil {
		return t, err
	}
	header, body, _ := strings.Cut(string(source), "\n\n")
	to, subject, _ := strings.Cut(header, "\n")
	t.audience = Audience(strings.TrimPrefix(to, "To: "))
	if subject, found := strings.CutPrefix(subject, "Subject: "); !found || strings.Contains(subject, "\n") || t.audience != Customer && t.audience != Business {
		return t, errors.New(`it must begin with the lines "To: customer" or "To: business", "Subject: …" and an empty one`)
	} else if t.subject, err = texttemplate.New("subject").Option("missingkey=error").Parse(subject); err != nil {
		return t, err
	}
	if t.text, err = texttemplate.New("text").Parse(body); err != nil {
		return t, err
	}
	t.links = strings.Contains(body, ".Link")
	t.html, err = htmltemplate.ParseFS(dir, layout, htmlPath)
	return t, err
}

// Choose returns the first of a customer's preferred locales, such as "de-AT", that has the
// template of a message, else the fallback. A locale's region is left out if need be.
func (t *Templates) Choose(name string, locales []string, fallback string) string {
	for _, locale := range locales {
		base, _, _ := strings.Cut(locale, "-")
		for _, language := range []string{locale, strings.ToLower(base)} {
			if _, found := t.languages[language][name]; found {
				return language
			}
		}
	}
	return fallback
}

// Render returns the mail of a message. Fields are escaped in HTML; a subject with a control
// character is refused, as it would add a header.
func (t *Templates) Render(m outbox.Message, o Options) (c Content, err error) {
	parsed, found := t.languages[o.Language][m.Name]
	if !found {
		return c, ErrNoTemplate
	}
	v := view{Options: o, m: m, format: formats[o.Language]}
	var subject, text, html strings.Builder
	if err := parsed.subject.Execute(&subject, v); err != nil {
		return c, fmt.Errorf("render subject: %w", err)
	}
	if v.Subject = subject.String(); strings.ContainsFunc(v.Subject, unicode.IsControl) {
		return c, errors.New("the subject has a control character")
	}
	if err := parsed.text.Execute(&text, v); err != nil {
		return c, fmt.Errorf("render text: %w", err)
	}
	if err := parsed.html.ExecuteTemplate(&html, layout, v); err != nil {
		return c, fmt.Errorf("render HTML: %w", err)
	}
	return Content{parsed.audience, v.Subject, text.String(), html.String()}, nil
}
