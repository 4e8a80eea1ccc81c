package registration

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

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
		{"no request", list, nil, []string{"whsec_old", "whsec_other"}, false},
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
