package stripe

import (
	"net/url"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseForm(t *testing.T) {
	tests := []struct {
		name, raw string
		want      form
		message   string
	}{
		{name: "empty", raw: "", want: form{}},
		{name: "single, the last counts", raw: "url=a&url=b", want: form{single: map[string]string{"url": "b"}}},
		{name: "escaped", raw: "url=https%3A%2F%2Fa%2F%3Fx%3D1&d=a+b", want: form{single: map[string]string{"url": "https://a/?x=1", "d": "a b"}}},
		{name: "list", raw: "e[]=a&e[]=b", want: form{lists: map[string][]string{"e": {"a", "b"}}}},
		{name: "list by index", raw: "e[10]=c&e[2]=b&e[0]=a", want: form{lists: map[string][]string{"e": {"a", "b", "c"}}}},
		{name: "map", raw: "m[a]=1&m[b]=", want: form{maps: map[string]map[string]string{"m": {"a": "1", "b": ""}}}},
		{name: "list and text", raw: "e[]=a&e=b", message: "The parameter e is given in two forms."},
		{name: "list and map", raw: "e[0]=a&e[x]=b", message: "The parameter e is given in two forms."},
		{name: "too deep", raw: "m[a][b]=1", message: "Received unknown parameter: m[a][b] (to the fake Stripe)"},
		{name: "not closed", raw: "m[a=1", message: "Received unknown parameter: m[a (to the fake Stripe)"},
		{name: "no name", raw: "=1", message: "Received unknown parameter:  (to the fake Stripe)"},
		{name: "semicolon", raw: "a=1;b=2", message: "The body is not a valid form."},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseForm(tt.raw)
			if tt.message != "" {
				if err == nil || err.Message != tt.message || err.status != 400 {
					t.Errorf("error %+v, want %q", err, tt.message)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range []*map[string]string{&tt.want.single} {
				if *m == nil {
					*m = map[string]string{}
				}
			}
			if tt.want.lists == nil {
				tt.want.lists = map[string][]string{}
			}
			if tt.want.maps == nil {
				tt.want.maps = map[string]map[string]string{}
			}
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(form{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// FuzzForm: whatever is sent, a form that is taken gives an endpoint that can be shown,
// kept and read again, and one that is refused is refused the same way again.
func FuzzForm(f *testing.F) {
	f.Add("url=https://a.b/c&enabled_events[]=*&metadata[a]=b&api_version=2023-10-16&connect=true&description=x")
	f.Add("enabled_events[1]=charge.failed&enabled_events[0]=*&metadata=")
	f.Add("a[][]=1&b[=2&]=3&e=1&e[]=2")
	f.Fuzz(func(t *testing.T, raw string) {
		got, err := parseForm(raw)
		again, errAgain := parseForm(raw)
		if diff := cmp.Diff(err, errAgain, cmp.AllowUnexported(apiError{})); diff != "" {
			t.Fatal(diff)
		}
		if err != nil {
			return
		}
		if diff := cmp.Diff(got, again, cmp.AllowUnexported(form{})); diff != "" {
			t.Fatal(diff)
		}
		values, _ := url.ParseQuery(raw)
		if len(got.names()) > len(values) {
			t.Fatalf("%d names out of %d fields", len(got.names()), len(values))
		}
		e := &endpoint{ID: "we_1", Secrets: []secret{newSecret()}}
		if e.apply(got, "url", "enabled_events", "description", "metadata", "api_version", "connect", "disabled") != nil {
			return
		}
		if m, ok := readMembers(e.rendered(false)); !ok || text(m.get("url")) != e.URL {
			t.Fatalf("shown as %s", e.rendered(false))
		}
	})
}
