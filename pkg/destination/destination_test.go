package destination_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tollgate/pkg/destination"
)

const all = `{
 "crm": {"type":"http","url":"https://crm.example.com/hooks","secret":"tollgate/live/crm","messages":["receipt","dunning*"],
         "events":["invoice.*","customer.subscription.deleted"],"livemode":[true],"accounts":["-"],"body":"whole","headers":{"X-Team":"a"},
         "rate":60,"concurrency":10,"timeout":"5s","allow":["10.1.2.3/8"],"group":"slow"},
 "bus": {"type":"eventbridge","bus":"arn:aws:events:eu-central-1:123456789012:event-bus/billing","events":["invoice.paid","invoice.paid.x"],"body":"thin"},
 "q":   {"type":"sqs","queue":"https://sqs.eu-central-1.amazonaws.com/123456789012/q","messages":["*"]},
 "t":   {"type":"sns","topic":"arn:aws-us-gov:sns:us-gov-west-1:123456789012:t","events":["*"],"accounts":["acct_1","-"]},
 "mail":{"type":"email","from":"Billing <billing@example.com>","to":"desk@example.com","messages":["*"],"language":"de"},
 "try": {"type":"email","from":"billing@example.com","messages":["*"],"livemode":[false,true]}
}`

func parse(t *testing.T, text string, at destination.Place) destination.Set {
	t.Helper()
	set, err := destination.Parse(text, at)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func TestParse(t *testing.T) {
	base := func(name string, typ destination.Type) destination.Destination {
		return destination.Destination{Name: name, Type: typ, Group: name, Rate: 50, Concurrency: 20, Timeout: 20 * time.Second}
	}
	crm := destination.Destination{
		Name: "crm", Type: destination.HTTP, Group: "slow", URL: "https://crm.example.com/hooks", Secret: "tollgate/live/crm",
		Messages: []string{"receipt", "dunning*"}, Events: []string{"invoice.*", "customer.subscription.deleted"},
		Livemode: []bool{true}, Accounts: []string{""}, Whole: true, Headers: map[string]string{"X-Team": "a"},
		Rate: 60, Concurrency: 10, Timeout: 5 * time.Second, Allow: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
	}
	bus := base("bus", destination.EventBridge)
	bus.Bus, bus.Source, bus.Events = "arn:aws:events:eu-central-1:123456789012:event-bus/billing", "tollgate", []string{"invoice.paid", "invoice.paid.x"}
	q := base("q", destination.SQS)
	q.Queue, q.Messages = "https://sqs.eu-central-1.amazonaws.com/123456789012/q", []string{"*"}
	topic := base("t", destination.SNS)
	topic.Topic, topic.Events, topic.Accounts = "arn:aws-us-gov:sns:us-gov-west-1:123456789012:t", []string{"*"}, []string{"acct_1", ""}
	mail := base("mail", destination.Email)
	mail.From, mail.To, mail.Messages, mail.Language, mail.Livemode = "Billing <billing@example.com>", "desk@example.com", []string{"*"}, "de", []bool{true}
	try := base("try", destination.Email)
	try.From, try.Messages, try.Language, try.Livemode = "billing@example.com", []string{"*"}, "en", []bool{false, true}
	want := destination.Set{"crm": crm, "bus": bus, "q": q, "t": topic, "mail": mail, "try": try}
	got := parse(t, all, destination.Deployed)
	if diff := cmp.Diff(want, got, cmp.Comparer(func(x, y netip.Prefix) bool { return x == y })); diff != "" {
		t.Errorf("destinations (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"customer.subscription.deleted", "invoice.paid", "invoice.paid.x"}, got.EventTypes()); diff != "" {
		t.Errorf("event types (-want +got):\n%s", diff)
	}
	if groups := got.Groups(); len(groups) != 6 || groups["slow"].Name != "crm" {
		t.Errorf("groups %v", groups)
	}
	for _, none := range []string{"", " \n", "{}"} {
		if got, err := destination.Parse(none, destination.Deployed); err != nil || len(got) != 0 {
			t.Errorf("%q: %v, %v", none, got, err)
		}
	}
}

func TestMatching(t *testing.T) {
	set := parse(t, all, destination.Deployed)
	for _, c := range []struct {
		message, account string
		live             bool
		want             string
	}{
		{"receipt", "", true, "crm mail q try"},
		{"receipt", "", false, "q try"},
		{"receipt", "acct_1", true, "mail q try"},
		{"receipts", "", true, "mail q try"},
		{"dunning", "", true, "crm mail q try"},
		{"dunning_last", "", true, "crm mail q try"},
		{"stripe.invoice.paid", "", true, "bus crm t"},
		{"stripe.invoice.paid", "acct_1", false, "bus t"},
		{"stripe.invoice.paid", "acct_2", false, "bus"},
		{"stripe.invoice", "", true, "t"},
		{"stripe.customer.subscription.deleted.x", "", true, "t"},
	} {
		var names []string
		for _, d := range set.Matching(c.message, c.live, c.account) {
			names = append(names, d.Name)
		}
		if got := strings.Join(names, " "); got != c.want {
			t.Errorf("%s of %q, live %v: %q, want %q", c.message, c.account, c.live, got, c.want)
		}
	}
	if !set.Forwards("charge.failed", true, "acct_1") || set.Forwards("charge.failed", true, "acct_2") || destination.Set(nil).Forwards("charge.failed", true, "") {
		t.Error("forwarding does not follow the match")
	}
}

// http returns a destination's configuration with members in addition to those that it needs.
func http(members string) string {
	if members != "" {
		members = "," + members
	}
	return `{"crm":{"type":"http","secret":"crm","messages":["a"]` + members + `}}`
}

const url = `"url":"https://crm.example.com/hooks"`

func TestFaults(t *testing.T) {
	for text, want := range map[string]string{
		`[]`:                                   "not an object",
		`null`:                                 "not an object",
		`{"crm":`:                              "EOF",
		`{} {}`:                                "text after",
		`{"crm":{},"crm":{}}`:                  "duplicate member \"crm\"",
		`{"crm":{"type":"http","Type":"sqs"}}`: "duplicate member",
		http(url + `,"retries":3`):             "unknown field",
		`{"Crm":{"type":"sqs","queue":"https://sqs.example.com/q","messages":["a"]}}`:                               "bad name",
		`{"` + strings.Repeat("a", 33) + `":{}}`:                                                                    "bad name",
		`{"crm":{"type":"fax","messages":["a"]}}`:                                                                   "has no type",
		http(url + `,"group":"A"`):                                                                                  "bad group",
		http(url + `,"queue":"https://sqs.example.com/q"`):                                                          "has queue, which type \"http\" does not take",
		`{"crm":{"type":"sqs","url":"https://x.example.com","queue":"https://sqs.example.com/q","messages":["a"]}}`: "has url",
		`{"m":{"type":"email","from":"a@example.com","events":["invoice.paid"]}}`:                                   "has events",
		`{"m":{"type":"email","from":"a@example.com","messages":["a"],"body":"whole"}}`:                             "has body",
		`{"crm":{"type":"sqs","queue":"https://sqs.example.com/q"}}`:                                                "takes nothing",
		http(url + `,"events":["invoice.*.paid"]`):                                                                  "bad pattern in events",
		http(url + `,"events":[""]`):                                                                                "bad pattern in events",
		http(url + `,"events":["invoice paid"]`):                                                                    "bad pattern in events",
		http(url + `,"events":["**"]`):                                                                              "bad pattern in events",
		http(url + `,"events":["a","a"]`):                                                                           "duplicate pattern in events",
		http(url + `,"events":["` + strings.Repeat("a", 101) + `"]`):                                                "bad pattern in events",
		`{"q":{"type":"sqs","queue":"https://sqs.example.com/q","messages":["stripe.invoice.*"]}}`:                  "names Stripe's events in messages",
		http(url + `,"livemode":[]`):                                                                                "empty livemode",
		http(url + `,"accounts":[]`):                                                                                "empty accounts",
		http(url + `,"accounts":[""]`):                                                                              "neither acct_",
		http(url + `,"accounts":["cus_1"]`):                                                                         "neither acct_",
		http(url + `,"body":"fat"`):                                                                                 "neither thin nor whole",
		http(url + `,"rate":0`):                                                                                     "rate that is not from 1 to 1000",
		http(url + `,"concurrency":101`):                                                                            "concurrency that is not from 1 to 100",
		http(url + `,"timeout":"21s"`):                                                                              "timeout that is not",
		http(url + `,"timeout":"20"`):                                                                               "timeout that is not",
		http(url + `,"timeout":"10ms"`):                                                                             "timeout that is not",
		http(""):                                                                                                    "not an https:// URL",
		http(`"url":"ftp://crm.example.com"`):                                                                       "not an https:// URL",
		http(`"url":"http://crm.example.com"`):                                                                      "not an https:// URL",
		http(`"url":"https://a:b@example.com"`):                                                                     "user information",
		http(`"url":"https://example.com/#x"`):                                                                      "a fragment",
		http(`"url":"https:example.com"`):                                                                           "no // after the scheme",
		http(`"url":"https://"`):                                                                                    "neither an IP address nor an ASCII name",
		http(`"url":"https://example.com./x"`):                                                                      "neither an IP address nor an ASCII name",
		http(`"url":"https://2852039166/x"`):                                                                        "not in its standard text",
		http(`"url":"https://a.localhost/x"`):                                                                       "localhost",
		http(`"url":"https://localhost/x"`):                                                                         "refused by the guard against SSRF: localhost",
		http(`"url":"https://a.LOCALHOST./x"`):                                                                      "neither an IP address",
		http(`"url":"https://127.0.0.1/x"`):                                                                         "not public",
		http(`"url":"https://10.1.2.3/x"`):                                                                          "not public",
		http(`"url":"https://169.254.169.254/latest"`):                                                              "metadata",
		http(`"url":"https://[::1]:8443/x"`):                                                                        "not public",
		http(`"url":"https://[::ffff:10.1.2.3]/x"`):                                                                 "IPv4 address inside IPv6",
		http(`"url":"https://[fd00:ec2::254]/x"`):                                                                   "metadata",
		http(`"url":"https://100.64.0.1/x"`):                                                                        "not public",
		http(`"url":"https://0.0.0.0/x"`):                                                                           "not public",
		http(`"url":"https://10.1.2.3/x","allow":["10.2.0.0/16"]`):                                                  "not public",
		http(url + `,"allow":["10.0.0.0"]`):                                                                         "not a network",
		http(url + `,"allow":["0.0.0.0/0"]`):                                                                        "not within a private network",
		http(url + `,"allow":["10.0.0.0/7"]`):                                                                       "not within a private network",
		http(url + `,"allow":["8.8.8.0/24"]`):                                                                       "not within a private network",
		http(url + `,"allow":["169.254.0.0/16"]`):                                                                   "not within a private network",
		http(url + `,"allow":["127.0.0.0/8"]`):                                                                      "not within a private network",
		http(url + `,"allow":["fc00::/7"]`):                                                                         "not within a private network",
		http(url + `,"insecure_http":true`):                                                                         "only the local system",
		http(url + `,"headers":{"Webhook-Id":"a"}`):                                                                 "sets header Webhook-Id",
		http(url + `,"headers":{"content-type":"a"}`):                                                               "sets header",
		http(url + `,"headers":{"Host":"a"}`):                                                                       "sets header",
		http(url + `,"headers":{"Authorization":"Bearer x"}`):                                                       "sets header",
		http(url + `,"headers":{"X Y":"a"}`):                                                                        "bad header name",
		http(url + `,"headers":{"X-Y":"a\r\nB: c"}`):                                                                "printable ASCII",
		http(url + `,"headers":{"X-Y":"` + strings.Repeat("a", 257) + `"}`):                                         "printable ASCII",
		`{"crm":{"type":"http",` + url + `,"messages":["a"]}}`:                                                      "has no secret",
		`{"crm":{"type":"http",` + url + `,"secret":"whsec_abc","messages":["a"]}}`:                                 "signing secret in its configuration",
		`{"dead":{"type":"sqs","queue":"https://sqs.example.com/q","messages":["a"]}}`:                              "is of group dead",
		`{"q":{"type":"sqs","queue":"https://sqs.example.com/q","messages":["a"],"group":"dead"}}`:                  "is of group dead",
		`{"q":{"type":"sqs","queue":"http://sqs.example.com/q","messages":["a"]}}`:                                  "has no queue",
		`{"q":{"type":"sqs","messages":["a"]}}`:                                                                     "has no queue",
		`{"b":{"type":"eventbridge","bus":"default","messages":["a"]}}`:                                             "has no bus",
		`{"b":{"type":"eventbridge","bus":"arn:aws:sns:eu-central-1:123456789012:t","messages":["a"]}}`:             "has no bus",
		`{"b":{"type":"eventbridge","bus":"arn:aws:events:eu-central-1:123456789012:event-bus/b","source":"aws.s3","messages":["a"]}}`: "bad source",
		`{"t":{"type":"sns","topic":"t","messages":["a"]}}`:                                                                            "has no topic",
		`{"m":{"type":"email","messages":["a"]}}`:                                                                                      "has no from",
		`{"m":{"type":"email","from":"a@example.com","to":"desk","messages":["a"]}}`:                                                   "has a to",
		`{"m":{"type":"email","from":"a@example.com","language":"german","messages":["a"]}}`:                                           "language",
		`{"a":{"type":"sqs","queue":"https://sqs.example.com/q","messages":["a"],"group":"g"},` +
			`"b":{"type":"sqs","queue":"https://sqs.example.com/q","messages":["a"],"group":"g","rate":1}}`: `destination "b" has other limits than "a"`,
		`{"q":{"type":"sqs","queue":"https://sqs.example.com/` + strings.Repeat("q", destination.MaxText) + `","messages":["a"]}}`: "fit a function's environment",
	} {
		_, err := destination.Parse(text, destination.Deployed)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.120s: %v, want %q", text, err, want)
		}
	}
}

// TestManyPatternsAndHeaders are bounded.
func TestManyPatternsAndHeaders(t *testing.T) {
	var patterns, headers []string
	for n := range 51 {
		patterns, headers = append(patterns, fmt.Sprintf(`"m%d"`, n)), append(headers, fmt.Sprintf(`"X-%d":"a"`, n))
	}
	for text, want := range map[string]string{
		http(url + `,"events":[` + strings.Join(patterns, ",") + `]`):      "has 51 events",
		http(url + `,"headers":{` + strings.Join(headers[:21], ",") + `}`): "has 21 headers",
	} {
		if _, err := destination.Parse(text, destination.Deployed); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// TestEveryFaultIsReported at once, without a value that may be secret.
func TestEveryFaultIsReported(t *testing.T) {
	_, err := destination.Parse(`{"crm":{"type":"http","url":"http://user:hunter2@example.com/","secret":"whsec_hunter2","messages":["a b"],"rate":0,"headers":{"Cookie":"hunter2"}}}`, destination.Deployed)
	if err == nil || strings.Count(err.Error(), "\n") != 4 || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("%v", err)
	}
}

func TestAccepted(t *testing.T) {
	for _, text := range []string{
		http(`"url":"https://10.1.2.3:8443/x?a=b","allow":["10.0.0.0/8"]`),
		http(`"url":"https://[fd12:3456::1]/x","allow":["fd12:3456::/32"]`),
		http(`"url":"https://93.184.216.34/"`),
	} {
		parse(t, text, destination.Deployed)
	}
	for _, text := range []string{
		http(`"url":"http://localhost:8080/x","insecure_http":true`),
		http(`"url":"http://127.0.0.1:8080/x","insecure_http":true,"allow":["127.0.0.0/8","::1/128"]`),
		`{"q":{"type":"sqs","queue":"http://127.0.0.1:9324/000000000000/q","messages":["a"]}}`,
	} {
		parse(t, text, destination.Local)
		if _, err := destination.Parse(text, destination.Deployed); err == nil {
			t.Errorf("%s is accepted on AWS", text)
		}
	}
}

func TestPlainHTTPIsAskedFor(t *testing.T) {
	_, err := destination.Parse(http(`"url":"http://localhost:8080/x"`), destination.Local)
	if err == nil || !strings.Contains(err.Error(), "without insecure_http") {
		t.Errorf("%v", err)
	}
}

// FuzzParse: what is accepted keeps its promises, at both places.
func FuzzParse(f *testing.F) {
	f.Add(all)
	f.Add(http(url))
	f.Add(http(`"url":"https://10.1.2.3/x","allow":["10.0.0.0/8"]`))
	f.Add(`{"a":{"type":"sqs","queue":"https://sqs.example.com/q","messages":["a"],"group":"g"},"b":{"type":"sns","group":"g"}}`)
	f.Fuzz(func(t *testing.T, text string) {
		set, err := destination.Parse(text, destination.Deployed)
		if err != nil {
			return
		}
		if _, err := destination.Parse(text, destination.Local); err != nil {
			t.Errorf("accepted on AWS and refused by the local system: %v", err)
		}
		for name, d := range set {
			if d.Name != name || d.Group == "" || d.Timeout <= 0 || d.Timeout > destination.MaxTimeout || d.Rate < 1 || d.Concurrency < 1 || len(d.Messages)+len(d.Events) == 0 {
				t.Errorf("%+v", d)
			}
			if d.InsecureHTTP || d.Type == destination.HTTP && !strings.HasPrefix(strings.ToLower(d.URL), "https://") {
				t.Errorf("insecure: %+v", d)
			}
			for _, p := range d.Allow {
				if p.Contains(netip.MustParseAddr("169.254.169.254")) || p.Contains(netip.MustParseAddr("8.8.8.8")) {
					t.Errorf("allows %s", p)
				}
			}
			for _, p := range d.Messages {
				live := d.Livemode == nil || d.Livemode[0]
				account := ""
				if d.Accounts != nil {
					account = d.Accounts[0]
				}
				if len(set.Matching(strings.TrimSuffix(p, "*"), live, account)) == 0 && p != "*" {
					t.Errorf("%q takes nothing", p)
				}
			}
		}
	})
}
