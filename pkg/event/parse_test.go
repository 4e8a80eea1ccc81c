package event_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tollgate/pkg/event"
)

// snapshot returns a snapshot event with members added at its end and the data given.
func snapshot(data, more string) string {
	return `{"id":"evt_1","object":"event","type":"invoice.paid","created":1700000000,` +
		`"livemode":true,"api_version":"2023-10-16","data":` + data + more + `}`
}

const plain = `{"object":{"id":"in_1"}}`

// read returns the envelope of snapshot with these changes.
func read(changes ...func(*event.Envelope)) event.Envelope {
	e := event.Envelope{
		ID: "evt_1", Object: "event", Type: "invoice.paid", Created: 1700000000,
		Livemode: true, APIVersion: "2023-10-16", ObjectID: "in_1",
	}
	for _, change := range changes {
		change(&e)
	}
	return e
}

func objectID(id string) func(*event.Envelope)  { return func(e *event.Envelope) { e.ObjectID = id } }
func created(sec int64) func(*event.Envelope)   { return func(e *event.Envelope) { e.Created = sec } }
func account(acct string) func(*event.Envelope) { return func(e *event.Envelope) { e.Account = acct } }

func TestParseAccepts(t *testing.T) {
	big := strings.Repeat(`{"amount":1,"s":"\\\"}]"},`, 200_000) + `{}`
	tests := []struct {
		name string
		body string
		want event.Envelope
	}{
		{"snapshot", snapshot(plain, ""), read()},
		{"white space in every place", " {\n\t\"id\" : \"evt_1\" ,\r\n \"object\":\"event\",\"type\":\"invoice.paid\",\"created\": 1700000000 ,\"livemode\" : true , \"api_version\":\"2023-10-16\", \"data\" : { \"object\" : { \"id\" : \"in_1\" } } } \n", read()},
		{"connected account", snapshot(plain, `,"account":"acct_1"`), read(account("acct_1"))},
		{"account null", snapshot(plain, `,"account":null`), read()},
		{"object without id", snapshot(`{"object":{"object":"balance"}}`, ""), read(objectID(""))},
		{"object id null", snapshot(`{"object":{"id":null}}`, ""), read(objectID(""))},
		{"object null", snapshot(`{"object":null}`, ""), read(objectID(""))},
		{"data without object", snapshot(`{}`, ""), read(objectID(""))},
		{"object id that a person chose", snapshot(`{"object":{"id":"20 % été 🎁"}}`, ""), read(objectID("20 % été 🎁"))},
		{"object id of 255 emoji", snapshot(`{"object":{"id":"`+strings.Repeat("🎁", 255)+`"}}`, ""), read(objectID(strings.Repeat("🎁", 255)))},
		{"object id of U+FFFD, a pair and a backslash", snapshot(`{"object":{"id":"`+"\ufffd"+`\uFFFD\ud83c\uDF81\\ud800"}}`, ""), read(objectID("\ufffd\ufffd🎁\\ud800"))},
		{"case variants of keys that are not read", snapshot(`{"object":{"id":"in_1","Status":"x","status":"y","metadata":{"ID":"a","id":"b","Object":"c"}},"previous_attributes":{"ID":1,"id":2}}`, `,"Request":{},"Pending_Webhooks":1`), read()},
		{"keys that are longer or shorter than ours", snapshot(`{"object":{"i":1,"ids":2,"IDs":3,"objectſ":4,"iid":5,"id":"in_1"}}`, `,"datas":1,"typ":2`), read()},
		{"a dotless and a dotted i fold to no ASCII letter", snapshot(`{"object":{"\u0131d":"x","\u0130d":"y","id":"in_1"}}`, ""), read()},
		{"id deeper in the body", snapshot(`{"previous_attributes":{"id":"x"},"object":{"lines":[{"id":"il_1"}],"id":"in_1"}}`, ""), read()},
		{"escaped key and value", strings.Replace(snapshot(plain, ""), `"id":"evt_1"`, `"\u0069d":"\u0065vt_1"`, 1), read()},
		{"key that is not read twice", snapshot(plain, `,"request":1,"request":2`), read()},
		{"brackets and quotes in strings", snapshot(`{"a\"}":"}]{[\\","object":{"x":["]","\\\"]"],"id":"in_1"}}`, ""), read()},
		{"5 MB", snapshot(`{"object":{"lines":[`+big+`],"id":"in_1"}}`, ""), read()},
		{"invalid UTF-8 where nothing is read", snapshot("{\"object\":{\"name\":\"\xff\xfe\",\"id\":\"in_1\"}}", ""), read()},
		{"created negative", strings.Replace(snapshot(plain, ""), "1700000000", "-5", 1), read(created(-5))},
		{"created null", strings.Replace(snapshot(plain, ""), "1700000000", "null", 1), read(created(0))},
		{"created at the end of numbers", strings.Replace(snapshot(plain, ""), "1700000000", "9223372036854775807", 1), read(created(9223372036854775807))},
		{"livemode and version null", `{"id":"evt_1","object":"event","type":"t","livemode":null,"api_version":null,"data":{}}`,
			event.Envelope{ID: "evt_1", Object: "event", Type: "t"}},
		{"255 bytes of id", `{"id":"` + strings.Repeat("e", 255) + `","object":"event","type":"t","data":{}}`,
			event.Envelope{ID: strings.Repeat("e", 255), Object: "event", Type: "t"}},
		{"thin", `{"id":"evt_2","object":"v2.core.event","type":"v1.customer.created","livemode":true,"created":"2024-09-17T06:20:52.246Z","context":"acct_1","related_object":{"id":"cus_1","type":"customer","url":"/v1/customers/cus_1"}}`,
			event.Envelope{ID: "evt_2", Object: "v2.core.event", Type: "v1.customer.created", Livemode: true, Created: 1726554052, CreatedRaw: "2024-09-17T06:20:52.246Z", Account: "acct_1", ObjectID: "cus_1"}},
		{"thin without related object", `{"id":"evt_2","object":"v2.core.event","type":"v2.core.event_destination.ping","created":"2024-09-17T06:20:52Z","context":null}`,
			event.Envelope{ID: "evt_2", Object: "v2.core.event", Type: "v2.core.event_destination.ping", Created: 1726554052, CreatedRaw: "2024-09-17T06:20:52Z"}},
		{"thin with a time zone, nanoseconds and null object", `{"id":"evt_2","object":"v2.core.event","type":"t","created":"2024-09-17T08:20:52.123456789+02:00","related_object":null}`,
			event.Envelope{ID: "evt_2", Object: "v2.core.event", Type: "t", Created: 1726554052, CreatedRaw: "2024-09-17T08:20:52.123456789+02:00"}},
		{"thin without created", `{"id":"evt_2","object":"v2.core.event","type":"t"}`,
			event.Envelope{ID: "evt_2", Object: "v2.core.event", Type: "t"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := event.Parse([]byte(tt.body))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	tests := []struct{ name, body, why string }{
		{"nothing", "", "not JSON"},
		{"white space", " \n", "not JSON"},
		{"null", "null", "not a JSON object"},
		{"list", "[" + snapshot(plain, "") + "]", "not a JSON object"},
		{"text", `"evt_1"`, "not a JSON object"},
		{"empty object", "{}", "object is missing or empty"},
		{"customer", `{"id":"cus_1","object":"customer","created":1}`, "type is missing or empty"},
		{"customer with a type", `{"id":"cus_1","object":"customer","type":"x","data":{}}`, "object is not a kind of event"},
		{"EventBridge wrapper", `{"version":"0","id":"6e5a","detail-type":"invoice.paid","source":"aws.partner/stripe.com","detail":` + snapshot(plain, "") + `}`, "object is missing or empty"},
		{"no id", `{"object":"event","type":"t","data":{}}`, "id is missing or empty"},
		{"only ID", `{"ID":"evt_1","object":"event","type":"t","data":{}}`, `a key differs from "id" in case alone`},
		{"id empty", `{"id":"","object":"event","type":"t","data":{}}`, "id is missing or empty"},
		{"id a number", `{"id":1,"object":"event","type":"t","data":{}}`, "id is not a string"},
		{"id not ASCII", `{"id":"evt_é","object":"event","type":"t","data":{}}`, "id has characters"},
		{"id invalid UTF-8", "{\"id\":\"evt_\xff\",\"object\":\"event\",\"type\":\"t\",\"data\":{}}", "id has characters"},
		{"id with a space", `{"id":"evt 1","object":"event","type":"t","data":{}}`, "id has characters"},
		{"id with DEL", "{\"id\":\"evt\x7f\",\"object\":\"event\",\"type\":\"t\",\"data\":{}}", "id has characters"},
		{"id with an escaped newline", `{"id":"evt\n1","object":"event","type":"t","data":{}}`, "id has characters"},
		{"256 bytes of id", `{"id":"` + strings.Repeat("e", 256) + `","object":"event","type":"t","data":{}}`, "id is longer"},
		{"type null", `{"id":"evt_1","object":"event","type":null,"data":{}}`, "type is missing or empty"},
		{"type a list", `{"id":"evt_1","object":"event","type":["t"],"data":{}}`, "type is not a string"},
		{"livemode text", snapshot(plain, "")[:1] + `"livemode":"true",` + strings.Replace(snapshot(plain, "")[1:], `"livemode":true,`, "", 1), "livemode is not true or false"},
		{"account an object", snapshot(plain, `,"account":{}`), "account is not a string"},
		{"data missing", `{"id":"evt_1","object":"event","type":"t"}`, "data: not a JSON object"},
		{"data null", `{"id":"evt_1","object":"event","type":"t","data":null}`, "data: not a JSON object"},
		{"data a list", `{"id":"evt_1","object":"event","type":"t","data":[]}`, "data: not a JSON object"},
		{"data.object a list", snapshot(`{"object":[]}`, ""), "data.object: not a JSON object"},
		{"data.object a string", snapshot(`{"object":"in_1"}`, ""), "data.object: not a JSON object"},
		{"data.object.id a number", snapshot(`{"object":{"id":1}}`, ""), "data.object: id is not a string"},
		{"data.object.id invalid UTF-8", snapshot("{\"object\":{\"id\":\"in_\xff\"}}", ""), "data.object: id is not Unicode"},
		{"data.object.id half a surrogate pair", snapshot(`{"object":{"id":"in_\ud800"}}`, ""), "data.object: id is not Unicode"},
		{"data.object.id the other half", snapshot(`{"object":{"id":"\uDC00x"}}`, ""), "data.object: id is not Unicode"},
		{"data.object.id two first halves", snapshot(`{"object":{"id":"\ud83c\ud83c"}}`, ""), "data.object: id is not Unicode"},
		{"data.object.id half a pair before another escape", snapshot(`{"object":{"id":"\ud83c\ndf81"}}`, ""), "data.object: id is not Unicode"},
		{"data.object.id half a pair behind a whole one", snapshot(`{"object":{"id":"\ud83c\udf81\udf81"}}`, ""), "data.object: id is not Unicode"},
		{"data.object.id too long", snapshot(`{"object":{"id":"`+strings.Repeat("x", 1021)+`"}}`, ""), "data.object: id is longer"},
		{"id twice", snapshot(plain, `,"id":"evt_2"`), `duplicate key "id"`},
		{"id twice, once escaped", snapshot(plain, `,"\u0069\u0064":"evt_2"`), `duplicate key "id"`},
		{"data twice", snapshot(plain, `,"data":{}`), `duplicate key "data"`},
		{"data.object twice", snapshot(`{"object":{"id":"in_1"},"object":{"id":"in_2"}}`, ""), `data: duplicate key "object"`},
		{"data.object.id twice", snapshot(`{"object":{"id":"in_1","id":"in_2"}}`, ""), `data.object: duplicate key "id"`},
		{"data.object.object twice", snapshot(`{"object":{"object":"invoice","object":"charge"}}`, ""), `data.object: duplicate key "object"`},
		{"previous_attributes twice", snapshot(`{"object":{},"previous_attributes":{},"previous_attributes":null}`, ""), `data: duplicate key "previous_attributes"`},
		{"ID of another event next to id", snapshot(plain, `,"ID":"evt_2"`), `a key differs from "id" in case alone`},
		{"Livemode", snapshot(plain, `,"Livemode":false`), `a key differs from "livemode" in case alone`},
		{"api_verſion", snapshot(plain, `,"api_ver\u017Fion":"x"`), `a key differs from "api_version" in case alone`},
		{"DATA", snapshot(plain, `,"DATA":{"object":{"id":"in_2"}}`), `a key differs from "data" in case alone`},
		{"data.Object", snapshot(`{"object":{"id":"in_1"},"Object":{"id":"in_2"}}`, ""), `data: a key differs from "object" in case alone`},
		{"data.previous_attributeſ", snapshot(`{"object":{"id":"in_1"},"previous_attributeſ":{}}`, ""), `data: a key differs from "previous_attributes" in case alone`},
		{"data.object.ID", snapshot(`{"object":{"id":"in_1","ID":"in_2"}}`, ""), `data.object: a key differs from "id" in case alone`},
		{"data.object.ID before id", snapshot(`{"object":{"ID":"in_2","id":"in_1"}}`, ""), `data.object: a key differs from "id" in case alone`},
		{"data.object.ID alone", snapshot(`{"object":{"ID":"in_2"}}`, ""), `data.object: a key differs from "id" in case alone`},
		{"data.object.Id, escaped", snapshot(`{"object":{"id":"in_1","\u0049\u0064":"in_2"}}`, ""), `data.object: a key differs from "id" in case alone`},
		{"data.object.OBJECT", snapshot(`{"object":{"id":"in_1","object":"invoice","OBJECT":"charge"}}`, ""), `data.object: a key differs from "object" in case alone`},
		{"trailing byte", snapshot(plain, "") + "x", "not JSON"},
		{"trailing brace", snapshot(plain, "") + "}", "not JSON"},
		{"trailing NUL", snapshot(plain, "") + "\x00", "not JSON"},
		{"second event", snapshot(plain, "") + "\n" + snapshot(plain, ""), "not JSON"},
		{"cut off", snapshot(plain, "")[:80], "not JSON"},
		{"byte order mark", "\ufeff" + snapshot(plain, ""), "not JSON"},
		{"UTF-16", "\xff\xfe{\x00}\x00", "not JSON"},
		{"comma at the end", strings.Replace(snapshot(plain, ""), `"in_1"}`, `"in_1",}`, 1), "not JSON"},
		{"nested too deep", snapshot(`{"object":{"x":`+strings.Repeat("[", 10_000)+strings.Repeat("]", 10_000)+`}}`, ""), "not JSON"},
		{"created 1e9", strings.Replace(snapshot(plain, ""), "1700000000", "1e9", 1), "created is not a whole number"},
		{"created 1.0", strings.Replace(snapshot(plain, ""), "1700000000", "1.0", 1), "created is not a whole number"},
		{"created overflow", strings.Replace(snapshot(plain, ""), "1700000000", "9223372036854775808", 1), "created is not a whole number"},
		{"created text", strings.Replace(snapshot(plain, ""), "1700000000", `"1700000000"`, 1), "created is not a whole number"},
		{"created true", strings.Replace(snapshot(plain, ""), "1700000000", "true", 1), "created is not a whole number"},
		{"thin, related_object.ID", `{"id":"evt_2","object":"v2.core.event","type":"t","related_object":{"id":"cus_1","ID":"cus_2"}}`, `related_object: a key differs from "id" in case alone`},
		{"thin, Related_object", `{"id":"evt_2","object":"v2.core.event","type":"t","Related_object":{"id":"cus_2"}}`, `a key differs from "related_object" in case alone`},
		{"thin, created a number", `{"id":"evt_2","object":"v2.core.event","type":"t","created":1700000000}`, "created is not a string"},
		{"thin, created no time", `{"id":"evt_2","object":"v2.core.event","type":"t","created":"yesterday"}`, "created is not an RFC 3339 time"},
		{"thin, related object text", `{"id":"evt_2","object":"v2.core.event","type":"t","related_object":"cus_1"}`, "related_object: not a JSON object"},
		{"context too long", snapshot(plain, `,"context":"org_1/acct_`+strings.Repeat("a", 255)+`"`), "context is longer"},
		{"context a number", snapshot(plain, `,"context":1`), "context is not a string"},
		{"context an object", snapshot(plain, `,"context":{"id":"acct_1"}`), "context is not a string"},
		{"context with a space", snapshot(plain, `,"context":"org_1/ acct_1"`), "context has characters"},
		{"context twice", snapshot(plain, `,"context":"acct_1","context":"acct_2"`), `duplicate key "context"`},
		{"Context next to context", snapshot(plain, `,"context":"acct_1","Context":"acct_2"`), `a key differs from "context" in case alone`},
		{"thin, context too long", `{"id":"evt_2","object":"v2.core.event","type":"t","context":"` + strings.Repeat("a", 256) + `"}`, "context is longer"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := event.Parse([]byte(tt.body))
			if !errors.Is(err, event.ErrNotEvent) {
				t.Fatalf("error is %v, want ErrNotEvent", err)
			}
			if want := "not a Stripe event: " + tt.why; !strings.HasPrefix(err.Error(), want) {
				t.Errorf("error is %q, want %q…", err, want)
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("error takes more than one line: %q", err)
			}
			if diff := cmp.Diff(event.Envelope{}, got); diff != "" {
				t.Errorf("returned a value with the error: %s", diff)
			}
		})
	}
}

// TestParseDepth: Parse has the depth limit of encoding/json, with which handlers decode.
func TestParseDepth(t *testing.T) {
	for _, depth := range []int{9_990, 9_996, 9_997, 9_998, 10_000, 10_001, 1_000_000} {
		body := []byte(snapshot(`{"object":{"x":`+strings.Repeat("[", depth)+strings.Repeat("]", depth)+`}}`, ""))
		_, err := event.Parse(body)
		if valid := json.Valid(body); valid != (err == nil) {
			t.Errorf("depth %d: encoding/json says %v, Parse says %v", depth, valid, err)
		}
	}
}

// TestParseGolden reads every golden event and compares with encoding/json's reading.
func TestParseGolden(t *testing.T) {
	for path, body := range golden(t) {
		got, err := event.Parse(body)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		var want small
		if err := json.Unmarshal(body, &want); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want.envelope(), got); diff != "" {
			t.Errorf("%s: %s", path, diff)
		}
	}
}

func golden(t testing.TB) map[string][]byte {
	t.Helper()
	paths, err := filepath.Glob("../handlers/golden/*.json")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no golden events in pkg/handlers/golden: %v", err)
	}
	bodies := make(map[string][]byte, len(paths))
	for _, path := range paths {
		if bodies[path], err = os.ReadFile(path); err != nil {
			t.Fatal(err)
		}
	}
	return bodies
}

func TestData(t *testing.T) {
	tests := []struct {
		name, body, object, previous string
		refused                      bool
	}{
		{name: "both, as written", body: snapshot(`{"object":{ "id" : "in_1", "n":1.00 },"previous_attributes":{"a":null}}`, ""),
			object: `{ "id" : "in_1", "n":1.00 }`, previous: `{"a":null}`},
		{name: "no previous attributes", body: snapshot(plain, ""), object: `{"id":"in_1"}`},
		{name: "case variant of data", body: snapshot(plain, `,"Data":{}`), refused: true},
		{name: "case variant of object", body: snapshot(`{"Object":1,"object":{}}`, ""), refused: true},
		{name: "object null", body: snapshot(`{"object":null}`, ""), object: "null"},
		{name: "no data", body: `{"id":"evt_1"}`, refused: true},
		{name: "object twice", body: snapshot(`{"object":{},"object":{}}`, ""), refused: true},
		{name: "no JSON", body: `{"data":{"object":`, refused: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			object, previous, err := event.Data([]byte(tt.body))
			if tt.refused != errors.Is(err, event.ErrNotEvent) {
				t.Fatalf("error is %v", err)
			}
			if string(object) != tt.object || string(previous) != tt.previous {
				t.Errorf("object %s, previous %s; want %s and %s", object, previous, tt.object, tt.previous)
			}
		})
	}
}

// TestDataCannotGrowIntoTheBody appends to what Data hands out.
func TestDataCannotGrowIntoTheBody(t *testing.T) {
	body := []byte(snapshot(plain, ""))
	before := bytes.Clone(body)
	object, _, err := event.Data(body)
	if err != nil {
		t.Fatal(err)
	}
	_ = append(object, "overwritten"...)
	if !bytes.Equal(before, body) {
		t.Errorf("the body became %s", body)
	}
}

func TestReadObject(t *testing.T) {
	tests := []struct {
		name, object string
		want         event.Object
		why          string
	}{
		{"invoice", `{"id":"in_1","object":"invoice","deleted":false}`, event.Object{ID: "in_1", Kind: "invoice"}, ""},
		{"deleted", ` {"id":"é","object":"coupon","deleted":true} `, event.Object{ID: "é", Kind: "coupon", Deleted: true}, ""},
		{"nothing of it", `{"metadata":{"ID":1,"Object":2,"Deleted":3}}`, event.Object{}, ""},
		{"null", `null`, event.Object{}, "not a JSON object"},
		{"nothing", ``, event.Object{}, "not JSON"},
		{"kind a number", `{"id":"in_1","object":1}`, event.Object{}, "object is not a string"},
		{"id a number", `{"id":1}`, event.Object{}, "id is not a string"},
		{"deleted a string", `{"id":"in_1","deleted":"true"}`, event.Object{}, "deleted is not true or false"},
		{"kind twice", `{"object":"a","object":"b"}`, event.Object{}, `duplicate key "object"`},
		{"ID next to id", `{"id":"in_1","ID":"in_2"}`, event.Object{}, `a key differs from "id"`},
		{"Object alone", `{"id":"in_1","Object":"invoice"}`, event.Object{}, `a key differs from "object"`},
		{"DELETED", `{"id":"in_1","DELETED":true}`, event.Object{}, `a key differs from "deleted"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := event.ReadObject(json.RawMessage(tt.object))
			if got != tt.want || (err == nil) != (tt.why == "") || err != nil && !strings.Contains(err.Error(), tt.why) {
				t.Errorf("got %+v, %v; want %+v, %s", got, err, tt.want, tt.why)
			}
		})
	}
}

// FuzzParse: no panic; what is accepted is valid JSON that parses the same in any layout; and
// a parser with exact keys reads the same event.
func FuzzParse(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := event.Parse(body)
		if err != nil {
			if !errors.Is(err, event.ErrNotEvent) || got.ID != "" {
				t.Fatalf("refused as %v with %+v", err, got)
			}
			return
		}
		var compact bytes.Buffer
		if err := json.Compact(&compact, body); err != nil {
			t.Fatalf("accepted invalid JSON: %v", err)
		}
		again, err := event.Parse(compact.Bytes())
		if diff := cmp.Diff(got, again); err != nil || diff != "" {
			t.Fatalf("parses differently in another layout: %v %s", err, diff)
		}
		agreesWithEncodingJSON(t, body, got)
		keepsObjectID(t, body, got)
	})
}

func seed(f *testing.F) {
	f.Helper()
	for _, body := range golden(f) {
		f.Add(body)
	}
	for _, seed := range []string{
		"null", "{}", snapshot(plain, ""), snapshot(plain, `,"ID":"evt_2"`), snapshot(plain, `,"\u0069d":"evt_2"`),
		snapshot(`{"object":{"a\\":["}",{}],"id":"é"}}`, ` , "x" : -1.5e3`),
		snapshot(plain, `,"context":"org_1/acct_1"`), snapshot(plain, `,"context":"org_1/","account":null`), snapshot(plain, `,"context":"acct_1","account":"acct_2"`),
		`{"id":"evt_2","object":"v2.core.event","type":"t","created":"2024-09-17T06:20:52.246Z","related_object":{"id":"cus_1"}}`,
		snapshot(`{"object":{"id":"in_1","ID":"in_2"}}`, ""), snapshot(`{"object":{"\u0049d":null,"object":"a","\u004fbject":"b"}}`, `,"api_ver\u017fion":"x"`),
		`{"id":"evt_2","object":"v2.core.event","type":"t","related_object":{"id":"cus_1","iD":"cus_2"},"RELATED_OBJECT":{}}`,
		snapshot(`{"object":{"id":"\\\ud83c\uDF81\uFFFD"}}`, ""), snapshot(`{"object":{"id":"\ud83c\ud83c"}}`, ""),
	} {
		f.Add([]byte(seed))
	}
}

func agreesWithEncodingJSON(t *testing.T, body []byte, got event.Envelope) {
	t.Helper()
	var exact map[string]json.RawMessage // a map's keys match exactly
	if err := json.Unmarshal(body, &exact); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{"id": got.ID, "object": got.Object, "type": got.Type} {
		var s string
		if err := json.Unmarshal(exact[key], &s); err != nil || s != want {
			t.Fatalf("%s: encoding/json reads %q (%v), Parse reads %q", key, s, err, want)
		}
	}
	if got.Thin() {
		var loose struct { // its fields match keys in any case
			ID, Object, Type, Context, Created string
			Livemode                           bool
			Related                            struct{ ID string } `json:"related_object"`
		}
		if err := json.Unmarshal(body, &loose); err != nil || loose.Related.ID != got.ObjectID || loose.ID != got.ID || loose.Object != got.Object ||
			loose.Type != got.Type || loose.Context != got.Account || loose.Created != got.CreatedRaw || loose.Livemode != got.Livemode {
			t.Fatalf("encoding/json reads %+v (%v), Parse reads %+v", loose, err, got)
		}
		return
	}
	var loose small
	if err := json.Unmarshal(body, &loose); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(loose.envelope(), got); diff != "" {
		t.Fatalf("encoding/json and Parse read different events: %s", diff)
	}
	decodesAsTheHeaderSays(t, body, got)
}

// decodesAsTheHeaderSays decodes data.object as a handler does.
func decodesAsTheHeaderSays(t *testing.T, body []byte, got event.Envelope) {
	t.Helper()
	object, _, err := event.Data(body)
	if err != nil {
		t.Fatalf("Parse accepts what Data refuses: %v", err)
	}
	if object == nil || string(object) == "null" {
		return
	}
	var loose struct {
		ID     string
		Object any // not checked unless it is a string
	}
	if err := json.Unmarshal(object, &loose); err != nil || loose.ID != got.ObjectID {
		t.Fatalf("encoding/json reads the object id %q (%v), Parse reads %q", loose.ID, err, got.ObjectID)
	}
	is, err := event.ReadObject(object)
	if kind, text := loose.Object.(string); err == nil && (is.ID != got.ObjectID || is.Kind != kind || !text && loose.Object != nil) {
		t.Fatalf("encoding/json reads %+v, ReadObject reads %+v", loose, is)
	}
}

// keepsObjectID fails if decoding put U+FFFD into an id: if the body has the character, another
// one in its place shows in the id.
func keepsObjectID(t *testing.T, body []byte, got event.Envelope) {
	t.Helper()
	if !strings.ContainsRune(got.ObjectID, '\ufffd') {
		return
	}
	spelled := regexp.MustCompile(`(?i)(\\\\)|\\ufffd|`+"\ufffd").ReplaceAllStringFunc(string(body), func(s string) string {
		if s == `\\` {
			return s
		}
		return "?"
	})
	again, err := event.Parse([]byte(spelled))
	if err != nil {
		return // the character stood in a key, or the body has become another event
	}
	if strings.ContainsRune(again.ObjectID, '\ufffd') {
		t.Fatalf("object id %q has a character that the body has not", got.ObjectID)
	}
}
