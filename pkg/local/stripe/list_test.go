package stripe

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"testing"

	"pgregory.net/rapid"
)

// naive is the list by its definition: sort, filter, cut.
func naive(all []*event, q query) (page []string, more bool) {
	sorted := slices.Clone(all)
	slices.SortStableFunc(sorted, func(a, b *event) int {
		return -cmp.Or(cmp.Compare(a.Created, b.Created), cmp.Compare(a.arrived, b.arrived))
	})
	pos := func(id string) int { return slices.IndexFunc(sorted, func(e *event) bool { return e.ID == id }) }
	var newer, rest []string
	for i, e := range sorted {
		if e.Account != q.account || e.Created < q.from || e.Created > q.to || len(q.types) > 0 && !slices.Contains(q.types, e.Type) {
			continue
		}
		switch {
		case q.endingBefore != "" && i < pos(q.endingBefore):
			newer = append(newer, e.ID)
		case q.endingBefore == "" && (q.startingAfter == "" || i > pos(q.startingAfter)):
			rest = append(rest, e.ID)
		}
	}
	if q.endingBefore != "" {
		cut := max(0, len(newer)-q.limit)
		return newer[cut:], cut > 0
	}
	cut := min(q.limit, len(rest))
	return rest[:cut], cut < len(rest)
}

func TestPageAgainstDefinition(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, err := Open(Options{})
		check(t, err)
		defer s.Close()
		types := []string{"invoice.paid", "invoice.voided", "charge.failed"}
		accounts := []string{"", "acct_1"}
		for i := range rapid.IntRange(0, 30).Draw(t, "events") {
			b := body(fmt.Sprint("evt_", i), rapid.SampledFrom(types).Draw(t, "type"), rapid.SampledFrom(accounts).Draw(t, "account"), rapid.Int64Range(1, 6).Draw(t, "created"))
			check(t, s.Remember(b))
		}
		v := url.Values{"limit": {strconv.Itoa(rapid.IntRange(1, 8).Draw(t, "limit"))}}
		if rapid.Bool().Draw(t, "ranged") {
			v.Set("created[gt]", strconv.Itoa(rapid.IntRange(0, 3).Draw(t, "gt")))
			v.Set("created[lte]", strconv.Itoa(rapid.IntRange(3, 6).Draw(t, "lte")))
		}
		if rapid.Bool().Draw(t, "typed") {
			v["types[0]"], v["types[1]"] = types[:1], types[1:2]
		}
		account := rapid.SampledFrom(accounts).Draw(t, "as")
		for _, e := range arrived(t, s) {
			if e.Account == account && rapid.IntRange(0, 4).Draw(t, "cursor") == 0 {
				v.Set(rapid.SampledFrom([]string{"starting_after", "ending_before"}).Draw(t, "direction"), e.ID)
				break
			}
		}
		q, apiErr := parseQuery(v)
		if apiErr != nil {
			t.Fatal(apiErr)
		}
		q.account = account
		page, more, apiErr := s.page(q)
		if apiErr != nil {
			t.Fatal(apiErr)
		}
		var got []string
		for _, e := range page {
			got = append(got, e.ID)
		}
		want, wantMore := naive(arrived(t, s), q)
		if !slices.Equal(got, want) || more != wantMore {
			t.Fatalf("%v as %q: %v more %v, want %v more %v", v, account, got, more, want, wantMore)
		}
	})
}

func TestCreatedBounds(t *testing.T) {
	tests := []struct {
		query    string
		from, to int64
	}{
		{"created=5", 5, 5},
		{"created[gte]=5&created[lte]=9", 5, 9},
		{"created[gt]=5&created[lt]=9", 6, 8},
		{"created[gt]=5&created[gte]=9", 9, 1<<63 - 1},
	}
	for _, tt := range tests {
		v, err := url.ParseQuery(tt.query)
		check(t, err)
		q, apiErr := parseQuery(v)
		if apiErr != nil || q.from != tt.from || q.to != tt.to {
			t.Errorf("%s: %d to %d (%v), want %d to %d", tt.query, q.from, q.to, apiErr, tt.from, tt.to)
		}
	}
}

func TestMatchType(t *testing.T) {
	tests := []struct {
		pattern, typ string
		want         bool
	}{
		{"invoice.paid", "invoice.paid", true},
		{"invoice.paid", "invoice.payment_failed", false},
		{"invoice.*", "invoice.paid", true},
		{"invoice.*", "invoiceitem.created", false},
		{"*.created", "customer.subscription.created", true},
		{"charge.dispute.*", "charge.failed", false},
		{"a*a", "a", false},
		{"*", "anything.at.all", true},
	}
	for _, tt := range tests {
		if got := matchType(tt.pattern, tt.typ); got != tt.want {
			t.Errorf("matchType(%q, %q) = %v", tt.pattern, tt.typ, got)
		}
	}
}

func FuzzParseQuery(f *testing.F) {
	f.Add("limit=3&types[]=a.b&types[1]=c.*&created[gte]=5")
	f.Add("created=9007199254740993&starting_after=evt_1")
	f.Fuzz(func(t *testing.T, raw string) {
		v, err := url.ParseQuery(raw)
		if err != nil {
			return
		}
		q, apiErr := parseQuery(v)
		if apiErr == nil && (q.limit < 1 || q.limit > maxLimit || len(q.types) > maxTypes) {
			t.Fatalf("accepted limit %d and %d types", q.limit, len(q.types))
		}
		if apiErr != nil && apiErr.status != 400 {
			t.Fatalf("status %d", apiErr.status)
		}
	})
}
