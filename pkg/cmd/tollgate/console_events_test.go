package main

import (
	"context"
	"fmt"
	"html"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	sdkdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"tollgate/pkg/cmd/tollgate/audit"
	consoleevents "tollgate/pkg/cmd/tollgate/console/events"
	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/console"
	"tollgate/pkg/dynamostore"
	"tollgate/pkg/idempotency"
	"tollgate/pkg/local"
	"tollgate/pkg/local/localtest"
)

// browser has a session of a console with the pages of events.
type browser struct {
	t      *testing.T
	origin string
	cookie *http.Cookie
}

func (s *system) browse(readOnly bool) *browser {
	s.t.Helper()
	a := &verb.App{Streams: verb.Streams{Out: io.Discard, Err: io.Discard}, Data: s.data}
	pages, actions := consoleevents.Parts(a.Caching())
	server := console.New(s.t.Context(), console.Config{Pages: pages, Actions: actions, ReadOnly: readOnly, Describe: func(err error) (int, string) {
		if verb.IsUsage(err) {
			return http.StatusBadRequest, a.HintOf(err)
		}
		return http.StatusInternalServerError, a.HintOf(err)
	}})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(s.t, err)
	server.Bind(l.Addr().String())
	go server.Serve(l)
	s.t.Cleanup(func() { server.Close(context.Background()) })
	b := &browser{t: s.t, origin: server.Address()}
	_, token, _ := strings.Cut(server.Link(), "#")
	res, _ := b.do(http.MethodPost, "/session", url.Values{"token": {token}})
	b.cookie = res.Cookies()[0]
	return b
}

func (b *browser) do(method, path string, form url.Values) (*http.Response, string) {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), method, b.origin+path, strings.NewReader(form.Encode()))
	check(b.t, err)
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", b.origin)
	}
	if b.cookie != nil {
		r.AddCookie(b.cookie)
	}
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Do(r)
	check(b.t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	check(b.t, err)
	return res, string(body)
}

// get returns a page's HTML.
func (b *browser) get(path string) string {
	b.t.Helper()
	res, body := b.do(http.MethodGet, path, nil)
	if res.StatusCode != http.StatusOK {
		b.t.Fatalf("GET %s: %d %s", path, res.StatusCode, body)
	}
	return body
}

// post sends the form of a page.
func (b *browser) post(page, path string, form url.Values) (*http.Response, string) {
	b.t.Helper()
	token := regexp.MustCompile(`name="token" value="([A-Z2-7]+)"`).FindStringSubmatch(b.get(page))
	if token == nil {
		b.t.Fatalf("%s has no form", page)
	}
	form.Set("token", token[1])
	return b.do(http.MethodPost, path, form)
}

func mustShow(t *testing.T, page string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(page, text) {
			t.Errorf("no %q in\n%s", text, page)
		}
	}
}

func TestConsoleEvents(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	fill(t, s)
	s.as("Reader")
	b := s.browse(false)
	page := b.get("/events")
	mustShow(t, page, "evt_dead", "evt_retrying", "no plan", "from the index", "tollgate events list --data=")
	if strings.Contains(page, "evt_done") {
		t.Errorf("a done event is among those that failed:\n%s", page)
	}
	mustShow(t, b.get("/events?status=done"), "evt_done", "Searched 9 of about 9 items")
	mustShow(t, b.get("/events?status=any&type=charge.*"), "evt_ignored", "Searched 9")
	mustShow(t, b.get("/events?status=any"), "evt_ignored", "evt_running", "evt_dead")
	mustShow(t, b.get("/events?about=in_1"), "No event is named", "Search the whole table")
	mustShow(t, b.get("/events?about=in_1&scan=on"), "evt_done", "Searched 9")
	mustShow(t, b.get("/events?since=never"), "--since", "give days such as 7d", `value="never"`)
	mustShow(t, b.get("/events?status=odd"), "--status")
	mustShow(t, b.get("/events?cursor=zzz&type=x"), "--cursor is not from this list")
	if res, _ := b.do(http.MethodGet, "/events?about=evt_dead", nil); res.Header.Get("Location") != "/events/evt_dead" {
		t.Errorf("an event's id leads to %q", res.Header.Get("Location"))
	}
	page = b.get("/events/evt_dead")
	mustShow(t, page, "Attempt 1: failed", "no plan", "No attempt follows", "/dead?id=evt_dead", "https://dashboard.stripe.com/events/evt_dead", "https://dashboard.stripe.com/test/events/evt_dead")
	page = b.get("/events/evt_done")
	mustShow(t, page, "Done: applied", "FACT#test#-#in_1#paid", "nothing: this event made it", "/replay?ids=evt_done", "https://dashboard.stripe.com/test/events/evt_done", "invoices/in_1")
	if strings.Contains(page, "https://dashboard.stripe.com/events/") {
		t.Errorf("a test event leads to live mode:\n%s", page)
	}
	mustShow(t, b.get("/events/evt_unknown"), "No attempt has claimed this event", "it never arrived")
	s.failed("evt_new", "invoice.paid", "", "no row", 15)
	mustShow(t, b.get("/events"), "evt_new")
	mustShow(t, s.browse(true).get("/events/evt_dead"), "read-only")
	if refused := s.rights.Refused(); len(refused) > 0 {
		t.Errorf("refused: %v", refused)
	}
}

// TestConsoleScanSteps: a scan reads 2,000 items at a time and goes on where it stopped.
func TestConsoleScanSteps(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	const events = 4100
	var writes []types.TransactWriteItem
	for i := range events {
		typ := "invoice.paid"
		if i%1000 == 7 {
			typ = "charge.failed"
		}
		text := func(v string) types.AttributeValue { return &types.AttributeValueMemberS{Value: v} }
		writes = append(writes, types.TransactWriteItem{Put: &types.Put{TableName: &s.info.Table, Item: map[string]types.AttributeValue{
			"pk": text(idempotency.Key(fmt.Sprintf("evt_%04d", i))), "st": text("DONE"), "etype": text(typ), "att": &types.AttributeValueMemberN{Value: "1"},
		}}})
	}
	for some := range slices.Chunk(writes, 100) {
		_, err := s.dynamo.TransactWriteItems(t.Context(), &sdkdynamodb.TransactWriteItemsInput{TransactItems: some})
		check(t, err)
	}
	b := s.browse(false)
	next := "/events?status=done&type=charge.failed"
	found, steps := 0, 0
	for ; next != ""; steps++ {
		page := b.get(next)
		found += strings.Count(page, `<tr id="e-evt_`)
		mustShow(t, page, fmt.Sprintf("Searched %s of about 4,100 items", console.Number(float64(min(events, 2000*(steps+1))))))
		link := regexp.MustCompile(`href="(/events\?[^"]*cursor[^"]*)"`).FindStringSubmatch(page)
		if next = ""; link != nil {
			next = html.UnescapeString(link[1])
		}
		if steps > 5 {
			t.Fatal("it does not end")
		}
	}
	if found != 5 || steps != 3 {
		t.Errorf("%d events in %d steps", found, steps)
	}
}

// hostile is what a stranger writes into every field.
const hostile = `"'></script><script>alert(1)</script><img src=x onerror=alert(1)>javascript:alert(1)` + "\u202e"

// TestConsoleEscapesEvents: no field of an event, of a log, of an item, of the audit trail and of the
// event's JSON becomes markup.
func TestConsoleEscapesEvents(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	text := func(v string) types.AttributeValue { return &types.AttributeValueMemberS{Value: v} }
	number := func(v string) types.AttributeValue { return &types.AttributeValueMemberN{Value: v} }
	list := func(v ...string) types.AttributeValue {
		l := &types.AttributeValueMemberL{}
		for _, each := range v {
			l.Value = append(l.Value, text(each))
		}
		return l
	}
	fact, message := "FACT#live#"+hostile+"#in_1#"+hostile, "OUT#FACT#live#-#in_1#"+hostile
	ids := []string{"evt_1", "evt_" + hostile}
	for _, id := range ids {
		s.row(id, map[string]types.AttributeValue{
			"st": text("FAILED"), "att": number("3"), "etype": text(hostile), "err": text(hostile), "reason": text(hostile), "src": text(hostile), "outcome": text(hostile),
			"created": number("1700000000"), "upd": number("1700000001000"), "first_at": number("1700000000000"), "rc_left": number("3"), "open": text(idempotency.Shard(id)),
			"replay_by": text(hostile), "replay_why": text(hostile), "purge_by": text(hostile), "fx": list(fact, message), "hist": list(hostile),
		})
	}
	for _, key := range []string{fact, message} {
		_, err := s.dynamo.PutItem(t.Context(), &sdkdynamodb.PutItemInput{TableName: &s.info.Table, Item: map[string]types.AttributeValue{
			"pk": text(key), "event_id": text(hostile), "name": text(hostile), "to": text(hostile), "held": text(hostile), hostile: text(hostile), "list": list(hostile),
			"queued_at": number("1700000000000"), "customer": text(hostile), "kind": text(hostile),
		}})
		check(t, err)
	}
	member := fmt.Sprintf("%q", hostile)
	s.logged("ingest", after(1), `{"message":"delivery","event_id":"evt_1","outcome":%[1]s,"endpoint":%[1]s,"error":%[1]s,"verified_by":%[1]s,"message_id":%[1]s,"request_id":%[1]s}`, member)
	s.logged("consumer", after(1), `{"message":"event","event_id":"evt_1","outcome":%[1]s,"attempt":1,"handler_ms":3,"reason":%[1]s,"error":%[1]s,"message_id":%[1]s,"request_id":%[1]s}`, member)
	s.logged("consumer", after(1), `{"message":"event","event_id":"evt_1","outcome":%[1]s,"endpoint":%[1]s,"reason":%[1]s}`, member)
	id, err := s.writer.BeginAudit(t.Context(), dynamostore.AuditEntry{Verb: "events replay " + hostile, By: hostile, Why: hostile, Detail: "evt_1 " + hostile, StartedAt: after(2)})
	check(t, err)
	check(t, s.writer.EndAudit(t.Context(), id, hostile, after(3)))
	fake := []byte(fmt.Sprintf(`{"id":"evt_1","object":"event","type":"invoice.paid","created":1700000000,"livemode":true,%[1]s:%[1]s,"api_version":"2023-10-16",
		"data":{"object":{"id":"in_1",%[1]s:[%[1]s],"status":%[1]s},"previous_attributes":{"status":%[1]s,%[1]s:%[1]s}}}`, member))
	s.stripe(fake)
	b := s.browse(false)
	paths := []string{
		"/events", "/events/evt_1", "/events/" + url.PathEscape(ids[1]), "/events?" + url.Values{"type": {hostile}}.Encode(), "/events?status=done&" + url.Values{"type": {"x"}, "cursor": {hostile}, "read": {hostile}}.Encode(),
		"/events?" + url.Values{"about": {hostile}}.Encode(), "/events?" + url.Values{"account": {hostile}, "since": {hostile}, "until": {hostile}, "mode": {hostile}, "status": {hostile}}.Encode(),
		"/events/" + url.PathEscape(hostile) + "?" + url.Values{"json": {hostile}, "log": {hostile}}.Encode(),
	}
	res, body := b.post("/events/evt_1", "/events/evt_1/json", url.Values{"note": {hostile}, "from": {"stripe"}})
	if res.StatusCode != http.StatusSeeOther {
		t.Fatalf("%d %s", res.StatusCode, body)
	}
	paths = append(paths, res.Header.Get("Location"))
	for _, path := range paths {
		page := b.get(path)
		for _, never := range []string{"<script>", "<img", "</script><", `href="javascript`, "href='javascript", `"'>`} {
			if strings.Contains(page, never) {
				t.Errorf("%s: %s in\n%s", path, never, page)
			}
		}
	}
	mustShow(t, b.get("/events/evt_1"), "alert(1)", "dashboard.stripe.com")
	mustShow(t, b.get(res.Header.Get("Location")), "What the event changed")
	// The answers to a form, and the stream.
	for _, form := range []url.Values{{"note": {""}}, {"note": {hostile}, "account": {hostile}}, {"note": {"x"}, "from": {"queue"}}} {
		if _, body := b.post("/events/evt_1", "/events/"+url.PathEscape(hostile)+"/json", form); strings.Contains(body, "<script>") || strings.Contains(body, "<img") {
			t.Errorf("%v: %s", form, body)
		}
	}
}

// stripe serves a fake Stripe that has an event.
func (s *system) stripe(body []byte) {
	s.t.Helper()
	_, s.info.StripeURL = localtest.Stripe(s.t, body)
	s.aws.Secret(s.t, local.APIKeySecretID, "sk_test_1")
	s.writeInfo()
}

// TestConsoleJSON: an event's JSON is read for a reason that the audit trail has; its address is a
// random key that leads to no other event's.
func TestConsoleJSON(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.failed("evt_1", "invoice.paid", "handler", "no plan", 0)
	s.failed("evt_2", "invoice.paid", "handler", "no plan", 0)
	s.deadLetter(envelope("evt_1", "invoice.paid"), "handler", "no plan", 1)
	s.stripe([]byte(`{"id":"evt_1","object":"event","type":"invoice.paid","created":1700000000,"livemode":false,"api_version":"2023-10-16","data":{"object":{"id":"in_1","email":"secret@example.com","total":12345678901234567890},"previous_attributes":{"total":7}}}`))
	b := s.browse(false)
	if page := b.get("/events/evt_1"); strings.Contains(page, "secret@") || !strings.Contains(page, "Read it from its dead letter") {
		t.Errorf("%s", page)
	}
	for _, source := range []string{"stripe", "queue"} {
		res, body := b.post("/events/evt_1", "/events/evt_1/json", url.Values{"note": {"ticket 1204"}, "from": {source}})
		at := res.Header.Get("Location")
		if res.StatusCode != http.StatusSeeOther || strings.Contains(at, "secret") || strings.Contains(at, "in_1") {
			t.Fatalf("%s: %d %s %s", source, res.StatusCode, at, body)
		}
		page := b.get(at)
		if source == "stripe" {
			mustShow(t, page, "secret@example.com", "12345678901234567890", "What the event changed", "From Stripe")
		} else {
			mustShow(t, page, "From its dead letter", "invoice.paid")
		}
		if page := b.get(strings.Replace(at, "evt_1", "evt_2", 1)); strings.Contains(page, "secret@") || strings.Contains(page, "What the event changed") {
			t.Errorf("%s: the key of evt_1 leads to it at evt_2", source)
		}
	}
	entries := lines[audit.View](t, s.tollgate("audit", "list", "--json").ok(t).out)
	if len(entries) != 2 || entries[0].Verb != "dlq show" || entries[1].Verb != "events payload" || entries[1].Why != "ticket 1204" || entries[1].Detail != "evt_1, from Stripe" {
		t.Errorf("%+v", entries)
	}
	mustShow(t, b.get("/events/evt_1"), "Its JSON was read", "ticket 1204")
	for name, form := range map[string]url.Values{"no reason": {"note": {" "}}, "no such event": {"note": {"x"}, "account": {"acct_1"}}} {
		if res, body := b.post("/events/evt_1", "/events/evt_1/json", form); res.StatusCode < 400 || res.Header.Get("Location") != "" {
			t.Errorf("%s: %d %s", name, res.StatusCode, body)
		}
	}
	b = s.browse(true)
	if res, _ := b.do(http.MethodPost, "/events/evt_1/json", url.Values{"note": {"x"}}); res.StatusCode != http.StatusForbidden {
		t.Errorf("read-only: %d", res.StatusCode)
	}
	s.tollgate("events", "payload", "evt_1").refused(t, verb.ExitUsage, "--note")
	s.tollgate("events", "payload", "evt_1", "--note=x", "--account=acct_1").refused(t, verb.ExitFailed, "cannot be fetched", "30 days")
	if got := s.tollgate("events", "payload", "evt_1", "--note=x", "--account=acct_1", "--account=-").ok(t).out; !strings.Contains(got, "secret@example.com") {
		t.Errorf("%s", got)
	}
}
