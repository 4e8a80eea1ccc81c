// Package mail sends messages as e-mail: those to a customer to the address that Stripe has at
// that moment, those to the business to a configured address. An address is never stored or
// logged. The texts are in the folder templates, one folder per language and two files per
// message: a .txt that begins with its audience and subject, and an .html.
//
//	target, err := mail.New(mail.Config{Stripe: client, Mailer: mail.NewSES(ses), From: "Billing <billing@example.com>", Language: "en"})
//	answer := target.Send(ctx, delivery)
//
// Delivery is at least once: SES takes no idempotency key, so a mail whose answer was lost is sent
// again.
package mail

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/mail"
	"net/url"
	"strings"

	"tollgate/pkg/delivery"
	"tollgate/pkg/limits"
)

// Objects fetches objects from Stripe, as dispatch.Objects.
type Objects interface {
	FetchObject(ctx context.Context, account, object, id string) ([]byte, error)
}

// Mailer sends a mail once. Safe for concurrent use.
type Mailer interface {
	Mail(context.Context, Mail) delivery.Answer
}

// Config of a target.
type Config struct {
	Stripe   Objects
	Mailer   Mailer
	From     string // such as "Billing <billing@example.com>"; the name signs the mails
	To       string // of messages to the business; "" sends none
	Language string // of messages to the business, and to customers without a locale that has templates
	TestMode bool   // mail messages about test money too
}

// Target sends mails. Safe for concurrent use.
type Target struct {
	c         Config
	from      *mail.Address
	templates *Templates
}

// New checks the configuration and the templates. Its error names every fault.
func New(c Config) (*Target, error) {
	templates, errTemplates := Load()
	from, errFrom := mail.ParseAddress(c.From)
	if errFrom != nil {
		errFrom = fmt.Errorf("from: %w", errFrom)
	}
	var errTo, errLanguage error
	if c.To != "" {
		c.To, errTo = address(c.To)
	}
	if errTemplates == nil {
		base, _, _ := strings.Cut(c.Language, "-")
		if c.Language = cmp.Or(base, "en"); templates.languages[c.Language] == nil {
			errLanguage = fmt.Errorf("language %s has no mail templates", c.Language)
		}
	}
	if err := errors.Join(errTemplates, errFrom, errTo, errLanguage); err != nil {
		return nil, fmt.Errorf("configure mail: %w", err)
	}
	return &Target{c: c, from: from, templates: templates}, nil
}

// Send implements [delivery.Target].
func (t *Target) Send(ctx context.Context, d delivery.Delivery) delivery.Answer {
	own, found := t.templates.languages[t.c.Language][d.Message.Name]
	switch {
	case !found:
		return stop(ErrNoTemplate.Error())
	case !d.Message.Live() && !t.c.TestMode:
		return stop("a message about test money is not mailed")
	}
	to, language := t.c.To, t.c.Language
	if own.audience == Business && to == "" {
		return stop("the destination has no address for messages to the business")
	}
	if own.audience == Customer {
		who, refused := t.customer(ctx, d)
		if refused != nil {
			return *refused
		}
		to, language = who.Email, t.templates.Choose(d.Message.Name, who.Locales, language)
	}
	link := ""
	if t.templates.languages[language][d.Message.Name].links {
		var refused *delivery.Answer
		if link, refused = t.invoiceLink(ctx, d); refused != nil {
			return *refused
		}
	}
	content, err := t.templates.Render(d.Message, Options{Language: language, Business: cmp.Or(t.from.Name, t.from.Address), Link: link})
	if err != nil {
		return stop(err.Error())
	}
	return t.c.Mailer.Mail(ctx, Mail{ID: d.ID, From: t.from.String(), To: to, Content: content})
}

// recipient is what a mail needs of a customer. It lives no longer than its attempt.
type recipient struct {
	Email   string   `json:"email"`
	Locales []string `json:"preferred_locales"`
	Deleted bool     `json:"deleted"`
}

// customer fetches who gets the mail. A customer may be an account.
func (t *Target) customer(ctx context.Context, d delivery.Delivery) (r recipient, refused *delivery.Answer) {
	kind, id := "customer", d.Message.To
	if id == "" {
		return r, refuse("the message names no customer")
	}
	if strings.HasPrefix(id, "acct_") {
		kind = "account"
	}
	raw, err := t.c.Stripe.FetchObject(ctx, d.Account, kind, id)
	if err != nil {
		failed := delivery.FetchFailed("customer", err)
		return r, &failed
	}
	if json.Unmarshal(raw, &r) != nil {
		return r, refuse("the customer at Stripe cannot be read")
	}
	switch {
	case r.Deleted:
		return r, refuse("the customer is deleted at Stripe")
	case r.Email == "":
		return r, refuse("the customer has no address at Stripe")
	}
	if r.Email, err = address(r.Email); err != nil {
		return r, refuse("the customer's address at Stripe is not one")
	}
	return r, nil
}

// invoiceLink fetches the address of the page on which a customer pays the message's invoice, ""
// if there is none.
func (t *Target) invoiceLink(ctx context.Context, d delivery.Delivery) (string, *delivery.Answer) {
	fields := d.Message.Fields
	id, _ := fields["invoice"].(string)
	if fields["object"] == "invoice" {
		id, _ = fields["object_id"].(string)
	}
	if id == "" {
		return "", nil
	}
	raw, err := t.c.Stripe.FetchObject(ctx, d.Account, "invoice", id)
	if err != nil {
		if failed := delivery.FetchFailed("invoice", err); failed.Verdict == delivery.Retry {
			return "", &failed
		}
		return "", nil // the mail is of use without it
	}
	var invoice struct {
		Page string `json:"hosted_invoice_url"`
	}
	_ = json.Unmarshal(raw, &invoice) // no page if it is anything else
	if u, err := url.Parse(invoice.Page); err != nil || u.Scheme != "https" || u.Host == "" {
		return "", nil
	}
	return invoice.Page, nil
}

// address returns the bare address of a text that is exactly one, in ASCII, as SES takes it.
func address(text string) (string, error) {
	a, err := mail.ParseAddress(text)
	// A quoted local part may have a comma, which makes it two recipients without its quotes.
	if err != nil || strings.ContainsFunc(a.Address, func(r rune) bool { return r <= ' ' || r > '~' }) || (&mail.Address{Address: a.Address}).String() != "<"+a.Address+">" {
		return "", errors.New("not an e-mail address in ASCII")
	}
	return a.Address, nil
}

func stop(text string) delivery.Answer {
	return delivery.Answer{Verdict: delivery.Stop, Err: limits.Cut(text, delivery.MaxErr)}
}

func refuse(text string) *delivery.Answer {
	a := stop(text)
	return &a
}
