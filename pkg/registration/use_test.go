package registration

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestEvidence(t *testing.T) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	use := func(counts ...int64) (uses []Use) {
		for i, n := range counts {
			uses = append(uses, Use{Index: i, Count: n, Last: now})
		}
		return uses
	}
	for _, c := range []struct {
		name         string
		e            Evidence
		names        int
		serves, rest string // what the refusal says, "" for none
	}{
		{"rolled", Evidence{use(9, 0), now.Add(-2 * time.Hour), now}, 1, "", ""},
		{"the old one is used", Evidence{use(9, 1), now.Add(-2 * time.Hour), now}, 1, "", "secret 1 verified 1 deliveries"},
		{"an older one is used", Evidence{use(9, 0, 3), now.Add(-2 * time.Hour), now}, 1, "", "secret 2 verified 3 deliveries"},
		{"only the old one is used", Evidence{use(0, 1), now.Add(-2 * time.Hour), now}, 1, "no delivery yet", "secret 1"},
		{"quiet", Evidence{use(0, 0), now.Add(-2 * time.Hour), now}, 1, "no delivery yet", "no delivery came"},
		{"too early by a second", Evidence{use(9, 0), now.Add(-time.Hour + time.Second), now}, 1, "", "too lately"},
		{"just late enough", Evidence{use(9, 0), now.Add(-time.Hour), now}, 1, "", ""},
		{"not settled", Evidence{nil, now.Add(time.Minute), now}, 1, "not every process", "too lately"},
		{"several endpoints", Evidence{use(9, 0), now.Add(-2 * time.Hour), now}, 2, "does not tell them apart", ""},
		{"nothing known", Evidence{Now: now}, 1, "no delivery yet", "no delivery came"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for what, p := range map[string]struct {
				err  error
				want string
			}{"serves": {c.e.Serves(0, c.names), c.serves}, "rest": {c.e.RestIsUnused(time.Hour), c.rest}} {
				if p.want == "" && p.err != nil || p.want != "" && (p.err == nil || !strings.Contains(p.err.Error(), p.want)) {
					t.Errorf("%s: %v, want %q", what, p.err, p.want)
				}
			}
		})
	}
	if err := (Evidence{use(9, 0), now.Add(-time.Hour), now}).Serves(1, 1); err == nil {
		t.Error("the second secret serves though only the first verified")
	}
}

func TestRemovable(t *testing.T) {
	secret := func(n string) Secret { return NewSecret("whsec_" + n) }
	marked := func(id, n string) Endpoint {
		return Endpoint{ID: id, Metadata: map[string]string{MetaSecret: secret(n).Fingerprint()}}
	}
	list := []Secret{secret("new"), secret("old"), secret("other")}
	for _, c := range []struct {
		name       string
		list       []Secret
		delivering []Endpoint
		want       []string
		refused    bool
	}{
		{"nobody asked", list, nil, []string{"whsec_old", "whsec_other"}, false},
		{"one endpoint, marked with the new", list, []Endpoint{marked("we_1", "new")}, []string{"whsec_old", "whsec_other"}, false},
		{"one endpoint, not marked", list, []Endpoint{{ID: "we_1"}}, []string{"whsec_old", "whsec_other"}, false},
		{"another endpoint's stays", list, []Endpoint{marked("we_1", "new"), marked("we_2", "other")}, []string{"whsec_old"}, false},
		{"another endpoint is not marked", list, []Endpoint{marked("we_1", "new"), {ID: "we_2"}}, nil, true},
		{"only one is stored", list[:1], nil, nil, false},
		{"none is stored", nil, nil, nil, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			old, err := Removable(c.list, c.delivering)
			var got []string
			for _, s := range old {
				got = append(got, s.Reveal())
			}
			if d := cmp.Diff(c.want, got); d != "" || (err != nil) != c.refused {
				t.Errorf("error %v (-want +got):\n%s", err, d)
			}
		})
	}
}

func TestDelivering(t *testing.T) {
	all := []Endpoint{whole("we_1"), whole("we_off", func(e *Endpoint) { e.Disabled = true }), whole("we_far", func(e *Endpoint) { e.URL += "/eu" })}
	if got := Delivering(all, testURL+"?v=1"); len(got) != 1 || got[0].ID != "we_1" {
		t.Errorf("delivering are %+v", got)
	}
}
