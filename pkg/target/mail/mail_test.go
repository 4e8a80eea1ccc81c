package mail

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/http"
	"net/http/httptest"
	netmail "net/mail"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sesv2"
	"github.com/google/go-cmp/cmp"

	"tollgate/pkg/delivery"
	"tollgate/pkg/dispatch"
	"tollgate/pkg/handlers"
	"tollgate/pkg/outbox"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func templates(t *testing.T) *Templates {
	t.Helper()
	all, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestTemplates renders every message in every language, with all of its fields and with none.
func TestTemplates(t *testing.T) {
	all := templates(t)
	names := slices.Sorted(slices.Values(handlers.Messages()))
	for language, templates := range all.languages {
		if diff := cmp.Diff(names, slices.Sorted(maps.Keys(templates))); diff != "" {
			t.Errorf("%s: templates (-messages of handlers +templates):\n%s", language, diff)
		}
		for name := range templates {
			bare := outbox.Message{Key: "OUT#x#live#-", Name: name}
			for file, m := range map[string]outbox.Message{name: sample(name), name + "_bare": bare} {
				o := Options{Language: language, Business: "Example & Co"}
				if file == name {
					o.Link = "https://invoice.stripe.com/i/acct_1/sample?s=ap&x=1"
				}
				c, err := all.Render(m, o)
				if err != nil {
					t.Fatalf("%s %s: %v", language, file, err)
				}
				golden(t, filepath.Join(language, file), fmt.Sprintf("%s\n%s\n\n%s\n%s", c.Audience, c.Subject, c.Text, c.HTML))
				if m := remote().FindString(c.HTML); m != "" {
					t.Errorf("%s %s loads something: %s", language, file, m)
				}
				if strings.Contains(c.Subject+c.Text, "<no value>") || strings.Contains(c.Text, "&amp;") || !strings.Contains(c.HTML, "Example &amp; Co") {
					t.Errorf("%s %s:\n%s", language, file, c.Text)
				}
			}
		}
	}
}

// remote matches what a mail program would load from elsewhere.
func remote() *regexp.Regexp {
	return regexp.MustCompile(`(?i)<(img|link|script|iframe|video|audio|object|embed|form|base)\b|\bsrc(set)?=|\burl\(|@import|background=`)
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if *update {
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(got), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s differs, run with -update after a change (-want +got):\n%s", name, diff)
	}
}

func TestRender(t *testing.T) {
	all := templates(t)
	m := sample("receipt")
	m.Fields["number"], m.Fields["object_id"] = `<b>"1"</b>`, "javascript:alert(1)"
	c, err := all.Render(m, Options{Language: "en", Business: "<script>x</script>"})
	if err != nil || strings.Contains(c.HTML, "<b>") || strings.Contains(c.HTML, "<script>") || !strings.Contains(c.Text, `<b>"1"</b>`) {
		t.Errorf("not escaped (%v):\n%s", err, c.HTML)
	}
	failed := sample("payment_failed")
	if c, err := all.Render(failed, Options{Language: "en", Link: "javascript:alert(1)"}); err != nil || strings.Contains(c.HTML, `href="javascript`) {
		t.Errorf("a link that runs (%v):\n%s", err, c.HTML)
	}
	for _, currency := range []string{"eur\r\nBcc: a@example.com", "eur\nX: y", "e\x00"} {
		m := sample("receipt")
		m.Fields["currency"] = currency
		if _, err := all.Render(m, Options{Language: "en"}); err == nil {
			t.Errorf("currency %q made a subject", currency)
		}
	}
	if _, err := all.Render(outbox.Message{Name: "stripe.invoice.paid"}, Options{Language: "en"}); !errors.Is(err, ErrNoTemplate) {
		t.Errorf("error %v", err)
	}
	if _, err := all.Render(sample("receipt"), Options{Language: "tlh"}); !errors.Is(err, ErrNoTemplate) {
		t.Errorf("error %v", err)
	}
}

func TestAmounts(t *testing.T) {
	for _, c := range []struct {
		minor    int64
		currency string
		en, de   string
	}{
		{4165, "eur", "41.65 EUR", "41,65 EUR"},
		{0, "usd", "0.00 USD", "0,00 USD"},
		{5, "usd", "0.05 USD", "0,05 USD"},
		{-123456, "chf", "-1,234.56 CHF", "-1.234,56 CHF"},
		{500, "jpy", "500 JPY", "500 JPY"},
		{1234567, "krw", "1,234,567 KRW", "1.234.567 KRW"},
		{5120, "kwd", "5.120 KWD", "5,120 KWD"},
		{99, "bhd", "0.099 BHD", "0,099 BHD"},
		{500, "isk", "5.00 ISK", "5,00 ISK"},
		{500, "ugx", "5.00 UGX", "5,00 UGX"},
		{100000, "huf", "1,000.00 HUF", "1.000,00 HUF"},
		{9007199254740993, "eur", "90,071,992,547,409.93 EUR", "90.071.992.547.409,93 EUR"},
		{-9223372036854775808, "JPY", "-9,223,372,036,854,775,808 JPY", "-9.223.372.036.854.775.808 JPY"},
	} {
		if en, de := formats["en"].amount(c.minor, c.currency), formats["de"].amount(c.minor, c.currency); en != c.en || de != c.de {
			t.Errorf("%d %s: %q and %q, want %q and %q", c.minor, c.currency, en, de, c.en, c.de)
		}
	}
}

func TestChoose(t *testing.T) {
	all := templates(t)
	for _, c := range []struct {
		locales  []string
		fallback string
		want     string
	}{
		{nil, "en", "en"}, {[]string{"de"}, "en", "de"}, {[]string{"de-AT"}, "en", "de"}, {[]string{"fr-FR", "de-CH", "en"}, "en", "de"},
		{[]string{"fr", "it"}, "de", "de"}, {[]string{""}, "en", "en"}, {[]string{"../x", "DE"}, "en", "de"},
	} {
		if got := all.Choose("receipt", c.locales, c.fallback); got != c.want {
			t.Errorf("%v, else %s: %s, want %s", c.locales, c.fallback, got, c.want)
		}
	}
	if got := all.Choose("unknown", []string{"de"}, "en"); got != "en" {
		t.Errorf("a message without templates: %s", got)
	}
}

func TestFaultyTemplates(t *testing.T) {
	const text, page = "To: customer\nSubject: x\n\nHello\n", `{{define "content"}}x{{end}}`
	for name, c := range map[string]struct {
		path, text, html, want string
	}{
		"no audience":   {"en/a.txt", "Subject: x\n\nHello\n", page, "must begin with"},
		"odd audience":  {"en/a.txt", "To: all\nSubject: x\n\nHello\n", page, "must begin with"},
		"no subject":    {"en/a.txt", "To: customer\n\nHello\n", page, "must begin with"},
		"more headers":  {"en/a.txt", "To: customer\nSubject: x\nBcc: y\n\nHello\n", page, "must begin with"},
		"odd subject":   {"en/a.txt", "To: customer\nSubject: {{\n\nHello\n", page, "template: subject"},
		"odd text":      {"en/a.txt", "To: customer\nSubject: x\n\n{{\n", page, "template: text"},
		"odd page":      {"en/a.txt", text, "{{", "en/a.txt"},
		"no page":       {"en/b.txt", text, page, "en/b.txt"},
		"odd language":  {"xx/a.txt", text, page, "no entry in formats"},
		"two audiences": {"de/a.txt", "To: business\nSubject: x\n\nHello\n", page, "another audience"},
	} {
		dir := fstest.MapFS{
			"layout.html": {Data: []byte(`{{template "content" .}}`)},
			"en/a.txt":    {Data: []byte(text)}, "en/a.html": {Data: []byte(page)},
		}
		if _, err := load(dir); err != nil {
			t.Fatal(err)
		}
		dir[c.path] = &fstest.MapFile{Data: []byte(c.text)}
		if name != "no page" {
			dir[strings.Replace(c.path, ".txt", ".html", 1)] = &fstest.MapFile{Data: []byte(c.html)}
		}
		if _, err := load(dir); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", name, err, c.want)
		}
	}
	if _, err := load(fstest.MapFS{}); err == nil {
		t.Error("no templates at all were accepted")
	}
}

// stripe answers with objects by account, kind and id.
type stripe map[string]string

func (s stripe) FetchObject(_ context.Context, account, object, id string) ([]byte, error) {
	switch body := s[account+"/"+object+"/"+id]; body {
	case "":
		return nil, dispatch.Park(dispatch.ReasonObjectGone, errors.New("ada@example.com"))
	case "down":
		return nil, errors.New("ada@example.com")
	case "busy":
		return nil, dispatch.NotBefore(time.Second, errors.New("ada@example.com"))
	default:
		return []byte(body), nil
	}
}

type mailbox struct{ mails []Mail }

func (b *mailbox) Mail(_ context.Context, m Mail) delivery.Answer {
	b.mails = append(b.mails, m)
	return delivery.Answer{Verdict: delivery.Done}
}

func send(t *testing.T, s stripe, m outbox.Message, change ...func(*Config)) (delivery.Answer, []Mail) {
	t.Helper()
	box := &mailbox{}
	c := Config{Stripe: s, Mailer: box, From: "Example & Söhne <billing@example.com>", To: "Desk <desk@example.com>", Language: "en"}
	for _, f := range change {
		f(&c)
	}
	target, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return target.Send(t.Context(), delivery.Delivery{ID: "msg_1", Message: m, Account: "acct_9"}), box.mails
}

const ada = `{"id":"cus_Sample","email":"ada@example.com","preferred_locales":["de-AT"]}`

func TestSend(t *testing.T) {
	const customer, invoice = "acct_9/customer/cus_Sample", "acct_9/invoice/in_1Sample"
	to := func(id string) outbox.Message {
		m := sample("receipt")
		m.To = id
		return m
	}
	testMoney := sample("receipt")
	testMoney.Key = "OUT#FACT#test#-#in_1Sample#paid#receipt"
	injected := sample("receipt")
	injected.Fields["currency"] = "eur\r\nBcc: eve@example.com"
	done := delivery.Answer{Verdict: delivery.Done}
	stops := func(text string) delivery.Answer { return delivery.Answer{Verdict: delivery.Stop, Err: text} }
	for _, c := range []struct {
		name    string
		s       stripe
		m       outbox.Message
		change  func(*Config)
		want    delivery.Answer
		to      string
		subject string
		text    string
	}{
		{name: "to a customer", s: stripe{customer: ada}, m: sample("receipt"), want: done, to: "ada@example.com", subject: "Zahlungsbestätigung über 1.234,56 EUR"},
		{name: "without a locale", s: stripe{customer: `{"email":"Ada <ada@example.com>"}`}, m: sample("receipt"), want: done, to: "ada@example.com", subject: "Receipt for 1,234.56 EUR"},
		{name: "to an account", s: stripe{"acct_9/account/acct_7": ada}, m: to("acct_7"), want: done, to: "ada@example.com"},
		{name: "to the business", s: stripe{}, m: sample("dispute_opened"), want: done, to: "desk@example.com", subject: "Dispute over 1,234.56 EUR: evidence is due by 1 December 2026"},
		{name: "with the invoice's page", s: stripe{customer: ada, invoice: `{"hosted_invoice_url":"https://invoice.stripe.com/i/x"}`}, m: sample("payment_failed"), want: done, to: "ada@example.com", text: "https://invoice.stripe.com/i/x"},
		{name: "the page is not one", s: stripe{customer: ada, invoice: `{"hosted_invoice_url":"javascript:x"}`}, m: sample("payment_failed"), want: done, to: "ada@example.com"},
		{name: "the invoice is gone", s: stripe{customer: ada}, m: sample("payment_failed"), want: done, to: "ada@example.com"},
		{name: "the invoice cannot be fetched now", s: stripe{customer: ada, invoice: "down"}, m: sample("payment_failed"), want: delivery.Answer{Verdict: delivery.Retry, Err: "fetch invoice: no answer from Stripe"}},

		{name: "deleted", s: stripe{customer: `{"id":"cus_Sample","deleted":true}`}, m: sample("receipt"), want: stops("the customer is deleted at Stripe")},
		{name: "gone", s: stripe{}, m: sample("receipt"), want: stops("fetch customer: object_gone")},
		{name: "no address", s: stripe{customer: `{"email":null}`}, m: sample("receipt"), want: stops("the customer has no address at Stripe")},
		{name: "two addresses", s: stripe{customer: `{"email":"ada@example.com, eve@example.com"}`}, m: sample("receipt"), want: stops("the customer's address at Stripe is not one")},
		{name: "two addresses in quotes", s: stripe{customer: `{"email":"\"ada,eve\"@example.com"}`}, m: sample("receipt"), want: stops("the customer's address at Stripe is not one")},
		{name: "an address with a header", s: stripe{customer: `{"email":"ada@example.com\r\nBcc: eve@example.com"}`}, m: sample("receipt"), want: stops("the customer's address at Stripe is not one")},
		{name: "an address outside ASCII", s: stripe{customer: `{"email":"ädä@example.com"}`}, m: sample("receipt"), want: stops("the customer's address at Stripe is not one")},
		{name: "not a customer", s: stripe{customer: `[]`}, m: sample("receipt"), want: stops("the customer at Stripe cannot be read")},
		{name: "no customer", s: stripe{}, m: to(""), want: stops("the message names no customer")},
		{name: "Stripe is down", s: stripe{customer: "down"}, m: sample("receipt"), want: delivery.Answer{Verdict: delivery.Retry, Err: "fetch customer: no answer from Stripe"}},
		{name: "Stripe is busy", s: stripe{customer: "busy"}, m: sample("receipt"), want: delivery.Answer{Verdict: delivery.Retry, RetryAfter: time.Second, Err: "fetch customer: Stripe is busy"}},
		{name: "a subject with a header", s: stripe{customer: ada}, m: injected, want: stops("the subject has a control character")},
		{name: "no template", s: stripe{customer: ada}, m: sample("stripe.invoice.paid"), want: stops("the message has no mail template")},
		{name: "no address of the business", s: stripe{}, m: sample("dispute_opened"), change: func(c *Config) { c.To = "" }, want: stops("the destination has no address for messages to the business")},
		{name: "test money", s: stripe{customer: ada}, m: testMoney, want: stops("a message about test money is not mailed")},
		{name: "test money in the local system", s: stripe{customer: ada}, m: testMoney, change: func(c *Config) { c.TestMode = true }, want: done, to: "ada@example.com"},
	} {
		t.Run(c.name, func(t *testing.T) {
			change := func(*Config) {}
			if c.change != nil {
				change = c.change
			}
			got, mails := send(t, c.s, c.m, change)
			if got != c.want || (c.to == "") != (len(mails) == 0) || strings.Contains(got.Err, "ada@") {
				t.Fatalf("%+v, %d mails; want %+v", got, len(mails), c.want)
			}
			if len(mails) == 0 {
				return
			}
			m := mails[0]
			if m.To != c.to || m.ID != "msg_1" || m.From != "=?utf-8?b?RXhhbXBsZSAmIFPDtmhuZQ==?= <billing@example.com>" || c.subject != "" && m.Subject != c.subject {
				t.Errorf("to %q from %q: %q", m.To, m.From, m.Subject)
			}
			if !strings.Contains(m.Text, "Example & Söhne") || !strings.Contains(m.Text, c.text) || strings.Contains(m.Text+m.HTML, "javascript") {
				t.Errorf("text:\n%s", m.Text)
			}
		})
	}
}

func TestConfig(t *testing.T) {
	for name, c := range map[string]Config{
		"no from":     {Language: "en"},
		"two from":    {From: "a@example.com, b@example.com", Language: "en"},
		"odd to":      {From: "a@example.com", To: "desk", Language: "en"},
		"no language": {From: "a@example.com", Language: "tlh"},
	} {
		if _, err := New(c); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := New(Config{From: "a@example.com", Language: "de-AT"}); err != nil {
		t.Errorf("a language with a region: %v", err)
	}
}

// read decodes a mail as a mail program does.
func read(t *testing.T, raw []byte) (*netmail.Message, map[string]string) {
	t.Helper()
	m, err := netmail.ReadMessage(strings.NewReader(string(raw)))
	if err != nil {
		t.Fatal(err)
	}
	kind, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/alternative" {
		t.Fatalf("content type %s, %v", kind, err)
	}
	parts := map[string]string{}
	for r := multipart.NewReader(m.Body, params["boundary"]); ; {
		p, err := r.NextRawPart()
		if err == io.EOF {
			return m, parts
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(quotedprintable.NewReader(p))
		if err != nil {
			t.Fatal(err)
		}
		parts[p.Header.Get("Content-Type")] = string(text)
	}
}

func content() Content {
	return Content{Customer, "Größe €", "Grüße\n\n" + strings.Repeat("lang ", 300) + "\n", "<p>Grüße</p>\n"}
}

// TestFolder: the local mailer's file is a mail, and a repeated attempt replaces it.
func TestFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "mail")
	m := Mail{"msg_1", "Billing <billing@example.com>", "ada@example.com", content()}
	for range 2 {
		if got := NewFolder(dir).Mail(t.Context(), m); got.Verdict != delivery.Done {
			t.Fatalf("%+v", got)
		}
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 1 || files[0].Name() != "msg_1.eml" {
		t.Fatalf("%v, %v", files, err)
	}
	raw, err := os.ReadFile(filepath.Join(dir, "msg_1.eml"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(raw)) {
		if len(line) > 78 || !strings.HasSuffix(line, "\r\n") || strings.ContainsFunc(line, func(r rune) bool { return r > '~' }) {
			t.Errorf("line %q", line)
		}
	}
	got, parts := read(t, raw)
	subject, err := (&mime.WordDecoder{}).DecodeHeader(got.Header.Get("Subject"))
	if err != nil || subject != "Größe €" || got.Header.Get("To") != "ada@example.com" || got.Header.Get("From") != "Billing <billing@example.com>" {
		t.Errorf("header %v", got.Header)
	}
	if _, err := got.Header.Date(); err != nil {
		t.Error(err)
	}
	unix := func(s string) string { return strings.ReplaceAll(s, "\r\n", "\n") }
	if unix(parts["text/plain; charset=utf-8"]) != m.Text || unix(parts["text/html; charset=utf-8"]) != m.HTML {
		t.Errorf("parts %q", parts)
	}
	blocked := filepath.Join(dir, "msg_1.eml")
	if got := NewFolder(blocked).Mail(t.Context(), m); got.Verdict != delivery.Retry {
		t.Errorf("a folder that is a file: %+v", got)
	}
}

func TestEncodeRefusesHeaders(t *testing.T) {
	for name, change := range map[string]func(*Mail){
		"from":    func(m *Mail) { m.From += "\r\nBcc: eve@example.com" },
		"to":      func(m *Mail) { m.To += "\nBcc: eve@example.com" },
		"subject": func(m *Mail) { m.Subject += "\r\n\r\n<p>" },
		"id":      func(m *Mail) { m.ID += "\r\n" },
	} {
		m := Mail{"msg_1", "billing@example.com", "ada@example.com", content()}
		change(&m)
		if raw, err := m.Encode(time.Now()); err == nil {
			t.Errorf("%s:\n%s", name, raw)
		}
		for mailer, send := range map[string]Mailer{"folder": NewFolder(t.TempDir()), "SES": NewSES(nil)} {
			if got := send.Mail(t.Context(), m); got.Verdict != delivery.Stop {
				t.Errorf("%s, %s: %+v", mailer, name, got)
			}
		}
	}
}

// TestSES: what the SDK's client sends, and how its answers are read.
func TestSES(t *testing.T) {
	m := Mail{"msg_1", "Billing <billing@example.com>", "ada@example.com", content()}
	for _, c := range []struct {
		status int
		code   string
		want   delivery.Verdict
	}{
		{200, "", delivery.Done}, {429, "TooManyRequestsException", delivery.Retry}, {400, "LimitExceededException", delivery.Retry},
		{400, "SendingPausedException", delivery.Retry}, {503, "x", delivery.Retry}, {400, "MessageRejected", delivery.Stop},
		{400, "MailFromDomainNotVerifiedException", delivery.Stop}, {403, "AccessDeniedException", delivery.Stop}, {404, "NotFoundException", delivery.Stop},
	} {
		var sent string
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			sent = r.URL.Path + " " + string(body)
			w.Header().Set("X-Amzn-ErrorType", c.code)
			w.WriteHeader(c.status)
			fmt.Fprint(w, `{"message":"Email address is not verified: ada@example.com","MessageId":"1"}`)
		}))
		client := sesv2.NewFromConfig(aws.Config{
			Region: "eu-central-1", BaseEndpoint: &server.URL, Credentials: credentials.NewStaticCredentialsProvider("a", "b", ""),
			Retryer: func() aws.Retryer { return aws.NopRetryer{} },
		})
		got := NewSES(client).Mail(t.Context(), m)
		if got.Verdict != c.want || strings.Contains(got.Err, "ada") || c.want != delivery.Done && got.Status != c.status {
			t.Errorf("%d %s: %+v", c.status, c.code, got)
		}
		for _, part := range []string{"/v2/email/outbound-emails", `"ToAddresses":["ada@example.com"]`, `"FromEmailAddress":"Billing <billing@example.com>"`, `"Raw":{"Data":"`} {
			if !strings.Contains(sent, part) {
				t.Errorf("the request lacks %s: %.300s", part, sent)
			}
		}
		server.Close()
	}
}
