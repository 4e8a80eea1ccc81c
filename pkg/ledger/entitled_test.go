package ledger_test

import (
	"context"
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tollgate/pkg/ledger"
)

// lagging is a table whose lists lag behind its items.
type lagging struct {
	lists table
	items table
	reads []string // keys of the items that were read
}

func (l *lagging) Page(ctx context.Context, list, cursor string) ([]map[string]any, string, error) {
	return l.lists.Page(ctx, list, cursor)
}

func (l *lagging) Item(ctx context.Context, key string) (map[string]any, bool, error) {
	l.reads = append(l.reads, key)
	return l.items.Item(ctx, key)
}

const now, day = 1_795_046_460, 86_400

// entitles is the item of an entitlement of product prod_1 for some days more, with some
// attributes changed.
func entitles(subscription string, days int64, changed map[string]any) map[string]any {
	item := map[string]any{
		"pk": "ENT#test#-#" + subscription, "lst": cus, "at": "2026-11-19T00:01:00Z", "ver": int64(3), "kind": "entitlement", "mode": "test", "account": "",
		"customer": "cus_1", "subscription": subscription, "status": "active", "active": true, "products": []any{"prod_1", "prod_2"},
		"until": now + days*day, "ends": false, "pause_collection": nil,
	}
	maps.Copy(item, changed)
	return item
}

func entitled(t *testing.T, items ledger.Items, product string) []string {
	t.Helper()
	ok, by, err := ledger.Entitled(t.Context(), items, ledger.Who{Mode: "test", Customer: "cus_1"}, product, time.Unix(now, 0))
	if err != nil || ok != (len(by) > 0) {
		t.Fatalf("%v, %v, %v", ok, by, err)
	}
	subscriptions := []string{}
	for _, e := range by {
		subscriptions = append(subscriptions, e.Subscription)
	}
	return subscriptions
}

func TestEntitled(t *testing.T) {
	type item = map[string]any
	none, one := []string{}, []string{"sub_1"}
	for name, c := range map[string]struct {
		items []item
		want  []string
	}{
		"nothing":                            {nil, none},
		"active":                             {[]item{entitles("sub_1", 20, nil)}, one},
		"past due, in its next period":       {[]item{entitles("sub_1", 30, item{"status": "past_due"})}, one},
		"unpaid":                             {[]item{entitles("sub_1", 30, item{"status": "unpaid", "active": false})}, none},
		"another product":                    {[]item{entitles("sub_1", 20, item{"products": []any{"prod_2", "prod_12"}})}, none},
		"no product":                         {[]item{entitles("sub_1", 20, item{"products": nil})}, none},
		"its period ended a day ago":         {[]item{entitles("sub_1", -1, nil)}, one},
		"its period ended almost 3 days ago": {[]item{entitles("sub_1", 0, item{"until": int64(now - 3*day + 1)})}, one},
		"its period ended 3 days ago":        {[]item{entitles("sub_1", -3, nil)}, none},
		"stored before it was known whether it ends": {[]item{entitles("sub_1", -1, item{"ends": nil})}, one},
		"a planned end is a second away":             {[]item{entitles("sub_1", 0, item{"ends": true, "until": int64(now + 1)})}, one},
		"a planned end is reached":                   {[]item{entitles("sub_1", 0, item{"ends": true})}, none},
		"ended":                                      {[]item{entitles("sub_1", 20, item{"status": "canceled", "active": false, "ends": true})}, none},
		"without an end":                             {[]item{entitles("sub_1", 0, item{"until": nil})}, none},
		"an end that is no number":                   {[]item{entitles("sub_1", 0, item{"until": "later"})}, none},
		"a malformed active":                         {[]item{entitles("sub_1", 20, item{"active": "true"})}, none},
		"another kind of item":                       {[]item{entitles("sub_1", 20, item{"kind": "subscription"})}, none},
		"another customer":                           {[]item{entitles("sub_1", 20, item{"lst": "CUS#test#-#cus_12"})}, none},
		"another account":                            {[]item{entitles("sub_1", 20, item{"lst": "CUS#test#acct_1#cus_1"})}, none},
		"live mode":                                  {[]item{entitles("sub_1", 20, item{"lst": "CUS#live#-#cus_1"})}, none},
		"an old one ended, a new one began": {[]item{
			entitles("sub_0", -30, item{"active": false, "status": "canceled"}), entitles("sub_1", 30, nil)}, one},
		"two at once, over three pages": {[]item{
			entitles("sub_0", -30, item{"active": false}), entitles("sub_1", 30, nil), {"pk": "OBJ#test#-#sub_1", "lst": cus, "kind": "subscription"},
			entitles("sub_2", 30, nil), entitles("sub_3", 30, item{"products": []any{}})}, []string{"sub_1", "sub_2"}},
		"listed twice, as it changed between two pages": {[]item{entitles("sub_1", 30, nil), entitles("sub_1", 30, nil)}, one},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, entitled(t, table{items: c.items}, "prod_1")); diff != "" {
				t.Errorf("granted by (-want +got):\n%s", diff)
			}
		})
	}
}

// TestEntitledShowsWhatDecides: the application finds status, end and pause in the result.
func TestEntitledShowsWhatDecides(t *testing.T) {
	for name, c := range map[string]struct {
		pause any
		want  *ledger.Pause
	}{
		"collected":      {nil, nil},
		"void, open end": {map[string]any{"behavior": "void", "resumes_at": int64(0)}, &ledger.Pause{Behavior: "void"}},
		"until tomorrow": {map[string]any{"behavior": "keep_as_draft", "resumes_at": int64(now + day)}, &ledger.Pause{Behavior: "keep_as_draft", ResumesAt: now + day}},
	} {
		items := table{items: []map[string]any{entitles("sub_1", 20, map[string]any{"status": "past_due", "pause_collection": c.pause})}}
		ok, by, err := ledger.Entitled(t.Context(), items, ledger.Who{Mode: "test", Customer: "cus_1"}, "prod_2", time.Unix(now, 0))
		want := []ledger.Entitlement{{Subscription: "sub_1", Status: "past_due", Active: true, Products: []string{"prod_1", "prod_2"}, Until: now + 20*day, PauseCollection: c.want}}
		if diff := cmp.Diff(want, by); diff != "" || !ok || err != nil {
			t.Errorf("%s: %v, %v (-want +got):\n%s", name, ok, err, diff)
		}
	}
}

// TestEntitledReadsTheTable: whatever the list shows, only what the table has grants. An
// entitlement that the list does not show yet is missed; an item that cannot grant is not read.
func TestEntitledReadsTheTable(t *testing.T) {
	was := entitles("sub_1", 20, nil)
	type item = map[string]any
	for name, c := range map[string]struct {
		listed, stored item
		granted        bool
		reads          int
	}{
		"unchanged":                        {was, was, true, 1},
		"it ended":                         {was, entitles("sub_1", 0, item{"active": false, "status": "canceled", "ends": true}), false, 1},
		"its end was planned, and is past": {was, entitles("sub_1", -1, item{"ends": true}), false, 1},
		"it vanished":                      {was, nil, false, 1},
		"it moved to another customer":     {was, entitles("sub_1", 20, item{"lst": "CUS#test#-#cus_2", "customer": "cus_2"}), false, 1},
		"it moved to no customer":          {was, entitles("sub_1", 20, item{"lst": nil, "customer": ""}), false, 1},
		"another product since":            {was, entitles("sub_1", 20, item{"products": []any{"prod_3"}}), false, 1},
		"another item under its key":       {was, item{"pk": "ENT#test#-#sub_1", "lst": cus, "kind": "note"}, false, 1},
		"renewed since":                    {entitles("sub_1", -1, nil), was, true, 1},
		"renewed since, long over before":  {entitles("sub_1", -9, nil), was, false, 0},
		"new":                              {nil, was, false, 0},
		"active since":                     {entitles("sub_1", 20, item{"active": false, "status": "incomplete"}), was, false, 0},
	} {
		t.Run(name, func(t *testing.T) {
			l := &lagging{}
			if c.listed != nil {
				l.lists.items = []item{c.listed}
			}
			if c.stored != nil {
				l.items.items = []item{c.stored}
			}
			if got := entitled(t, l, "prod_1"); (len(got) > 0) != c.granted || len(l.reads) != c.reads {
				t.Errorf("granted by %v after reading %v; want %v after %d", got, l.reads, c.granted, c.reads)
			}
		})
	}
}

// TestEntitledAnswersWhole: half an answer would refuse a customer who pays.
func TestEntitledAnswersWhole(t *testing.T) {
	who := ledger.Who{Mode: "test", Customer: "cus_1"}
	items := []map[string]any{entitles("sub_1", 20, nil), entitles("sub_2", 20, nil)}
	for name, c := range map[string]struct {
		items   ledger.Items
		who     ledger.Who
		product string
		says    string
	}{
		"the list cannot be read":         {table{items: items, fail: cus}, who, "prod_1", "throttled"},
		"an entitlement cannot be read":   {table{items: items, fail: "ENT#test#-#sub_2"}, who, "prod_1", "throttled"},
		"a list without an end":           {endless{}, who, "prod_1", "pages"},
		"no product":                      {table{}, who, "", "want the mode"},
		"no customer":                     {table{}, ledger.Who{Mode: "test"}, "prod_1", "want the mode"},
		"no mode":                         {table{}, ledger.Who{Customer: "cus_1"}, "prod_1", "want the mode"},
		"a mode that Stripe has not":      {table{}, ledger.Who{Mode: "Live", Customer: "cus_1"}, "prod_1", "want the mode"},
		"a context that has ended before": {canceled{}, who, "prod_1", context.Canceled.Error()},
	} {
		ok, by, err := ledger.Entitled(t.Context(), c.items, c.who, c.product, time.Unix(now, 0))
		if ok || by != nil || err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, %v, error %v; want only an error with %q", name, ok, by, err, c.says)
		}
		if _, ended := c.items.(canceled); ended && !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v does not wrap its cause", name, err)
		}
	}
}

// endless is a list whose every page has a next one.
type endless struct{ table }

func (endless) Page(context.Context, string, string) ([]map[string]any, string, error) {
	return nil, "next", nil
}

// canceled is a table whose reads end with their context.
type canceled struct{ table }

func (canceled) Page(context.Context, string, string) ([]map[string]any, string, error) {
	return nil, "", context.Canceled
}
