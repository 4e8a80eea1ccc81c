package handlers_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/handlers"
)

const (
	paused       = "customer.subscription.paused"
	resumed      = "customer.subscription.resumed"
	trialWillEnd = "customer.subscription.trial_will_end"
)

// subscriptionTypes returns every handled type of event of subscriptions.
func subscriptionTypes() (types []string) {
	for _, typ := range handlers.Types() {
		if strings.HasPrefix(typ, "customer.subscription.") {
			types = append(types, typ)
		}
	}
	return types
}

// The welcome comes with the first event that shows the subscription active or trialing,
// whichever it is, and with no other status.
func TestWelcome(t *testing.T) {
	for _, typ := range subscriptionTypes() {
		for _, status := range []string{"incomplete", "incomplete_expired", "trialing", "active", "past_due", "unpaid", "paused", "canceled", "hibernating"} {
			f := newFixture()
			f.age = 10 * time.Minute // a type that announces another status does not wait
			body := golden(t, typ)
			f.shows(t, with(t, body, map[string]any{"status": status}))
			effects, err := f.run(t, body)
			if err != nil {
				t.Fatal(err)
			}
			welcomed := false
			for _, m := range messagesIn(effects) {
				welcomed = welcomed || m.Key == welcome
			}
			if welcomed != (status == "active" || status == "trialing") {
				t.Errorf("%s of a subscription that is %s: welcome %v", typ, status, welcomed)
			}
		}
	}
}

// A subscription whose first payment never succeeds has no welcome; one that begins later has
// one, and no second one at the end of its trial or after a pause.
func TestOneWelcomeInALife(t *testing.T) {
	for name, c := range map[string]struct {
		steps []string // type and status
		want  int
	}{
		"never paid":                 {[]string{created + " incomplete", updated + " incomplete", deleted + " incomplete_expired"}, 0},
		"paid hours later":           {[]string{created + " incomplete", updated + " active", updated + " active"}, 1},
		"trial, then active":         {[]string{created + " trialing", trialWillEnd + " trialing", updated + " active"}, 1},
		"trial, paused, then active": {[]string{created + " trialing", paused + " paused", resumed + " active", updated + " active"}, 1},
		"only its end is seen":       {[]string{deleted + " canceled", created + " canceled"}, 0},
		"first seen when resumed":    {[]string{resumed + " active", created + " active"}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture()
			f.age = 10 * time.Minute
			for i, step := range c.steps {
				typ, status, _ := strings.Cut(step, " ")
				body := golden(t, typ)
				body = []byte(strings.Replace(string(body), parse(t, body).ID, fmt.Sprintf("evt_%d", i), 1))
				f.shows(t, with(t, body, map[string]any{"status": status}))
				effects, err := f.run(t, body)
				if err != nil {
					t.Fatal(err)
				}
				row, _ := f.item(t, subRow)["outbox"].([]any)
				if len(row) > 0 && len(messagesIn(effects)) > 0 && messagesIn(effects)[0].Key == welcome {
					t.Errorf("%s requests a welcome that the row names already", step)
				}
				f.handle(t, body)
			}
			welcomes := 0
			for _, key := range f.Keys() {
				if key == welcome {
					welcomes++
				}
			}
			if welcomes != c.want {
				t.Errorf("%d welcomes, want %d", welcomes, c.want)
			}
		})
	}
}

// A welcome is held or sent by the time when the subscription began: an old subscription that
// is first seen at a go-live is held, an incomplete one that is paid hours later is not.
func TestWelcomeOfOldAndLateSubscriptions(t *testing.T) {
	const start = 1795046460
	hour := time.Hour
	for name, c := range map[string]struct {
		rowStatus string // "" for no row
		previous  string // previous_attributes
		begins    time.Duration
		created   time.Duration // of the event, after the start of the subscription
		received  time.Duration
		since     time.Duration
		held      string
	}{
		"new":                                       {previous: `{}`, since: 0, created: time.Minute, received: time.Minute},
		"first seen a year later":                   {previous: `{}`, created: 8760 * hour, received: 8760 * hour, held: dispatch.HeldOld},
		"first seen at the begin":                   {previous: `{}`, begins: hour, created: 2 * hour, received: 2 * hour, held: dispatch.HeldBeforeBegin},
		"begun before, paid after it":               {previous: `{"status":"incomplete"}`, begins: hour, created: 2 * hour, received: 2 * hour, since: 2 * hour},
		"the row says it was incomplete":            {rowStatus: "incomplete", previous: `{}`, begins: hour, created: 2 * hour, received: 2 * hour, since: 2 * hour},
		"paid at the last moment":                   {rowStatus: "incomplete", previous: `{"status":"incomplete"}`, created: 23 * hour, received: 46 * hour, since: 23 * hour},
		"paid, and the first event comes a year on": {rowStatus: "incomplete", previous: `{}`, created: 8760 * hour, received: 8760 * hour, since: 23 * hour, held: dispatch.HeldOld},
		"an old one resumes":                        {rowStatus: "paused", previous: `{"status":"paused"}`, created: 8760 * hour, received: 8760 * hour, held: dispatch.HeldOld},
		"an old one pays its debt":                  {previous: `{"status":"past_due"}`, created: 8760 * hour, received: 8760 * hour, held: dispatch.HeldOld},
		"a row that is not incomplete":              {rowStatus: "unpaid", previous: `{"status":"incomplete"}`, created: 48 * hour, received: 48 * hour, held: dispatch.HeldOld},
	} {
		t.Run(name, func(t *testing.T) {
			at := func(d time.Duration) time.Time { return time.Unix(start, 0).Add(d) }
			f := newFixture()
			f.age, f.received = 10*time.Minute, at(c.received)
			if c.begins != 0 {
				f.begin(at(c.begins))
			}
			if c.rowStatus != "" {
				body := with(t, golden(t, created), map[string]any{"status": c.rowStatus})
				f.shows(t, body)
				f.handle(t, body)
			}
			body := golden(t, updated, `"created": 1795046464`, fmt.Sprintf(`"created": %d`, at(c.created).Unix()),
				`{
      "default_payment_method": null,
      "status": "incomplete"
    }`, c.previous)
			f.shows(t, body)
			effects, err := f.run(t, body)
			ms := messagesIn(effects)
			if err != nil || len(ms) != 1 {
				t.Fatalf("messages %v, error %v", ms, err)
			}
			held, _ := ms[0].Fields[dispatch.MessageHeld].(string)
			if diff := gocmp.Diff([]any{at(c.since).UTC().Format(time.RFC3339), c.held}, []any{ms[0].Fields["at"], held}); diff != "" {
				t.Errorf("since and held (-want +got):\n%s", diff)
			}
		})
	}
}

// The end of a trial is announced once, to a customer whose trial still runs.
func TestTrialWillEnd(t *testing.T) {
	const first, extended, third = 1797638460, 1799638460, 1801638460
	f := newFixture()
	for i, step := range []struct {
		name    string
		status  string
		end     any
		message string // the end that the message names, "" for no message
	}{
		{"announced", "trialing", first, "1797638460"},
		{"a second event", "trialing", first, ""},
		{"the trial was extended", "trialing", extended, "1799638460"},
		{"the trial is over", "active", third, ""},
		{"it was canceled", "canceled", third, ""},
		{"paused at the end", "paused", third, ""},
		{"without an end", "trialing", nil, ""},
	} {
		body := golden(t, trialWillEnd, "evt_1TollgateQm4vR7kXw2ZpTnA", fmt.Sprint("evt_", i))
		body = with(t, body, map[string]any{"status": step.status, "trial_end": step.end})
		f.shows(t, body)
		before := f.Keys()
		f.handle(t, body)
		var added []string
		for _, key := range f.Keys() {
			if !strings.Contains(strings.Join(before, " ")+" ", key+" ") && strings.HasSuffix(key, "#trial_will_end") {
				added = append(added, key)
			}
		}
		var want []string
		if step.message != "" {
			want = []string{"OUT#" + subRow + "#" + step.message + "#trial_will_end"}
		}
		if diff := gocmp.Diff(want, added); diff != "" {
			t.Errorf("%s: messages (-want +got):\n%s", step.name, diff)
		}
		if len(want) == 0 {
			continue
		}
		m := f.item(t, want[0])
		if diff := gocmp.Diff([]any{"trial_will_end", customer, int64(step.end.(int)), "2026-12-16T00:01:00Z"}, []any{m["name"], m["to"], m["trial_end"], m["at"]}); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step.name, diff)
		}
	}
	row, _ := f.item(t, subRow)["outbox"].([]any)
	if len(row) != 3 {
		t.Errorf("the row names %v; want the welcome and two announcements", row)
	}
}
