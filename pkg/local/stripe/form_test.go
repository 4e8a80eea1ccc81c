package stripe

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"tollgate/pkg/local/aws/jsonscan"
)

func TestParseForm(t *testing.T) {
	f, err := parseForm("url=a&url=https%3A%2F%2Fa%2F%3Fx%3D1&d=a+b&e[10]=&e[2]=c&e[0]=a&e[1]=b&l[]=x&l[]=y&m[a]=1&m[b]=&m[a][b]=1&m[c=1")
	if err != nil {
		t.Fatal(err)
	}
	url, given := f.text("url")
	_, absent := f.text("none")
	if url != "https://a/?x=1" || !given || absent {
		t.Errorf("url %q, given %v; none given %v", url, given, absent)
	}
	if diff := cmp.Diff([][]string{{"a", "b", "c"}, {"x", "y"}, nil}, [][]string{f.list("e"), f.list("l"), f.list("none")}); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]string{"a": "1", "b": ""}, f.pairs("m")); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(form{"d": {"a b"}, "e[10]": {""}, "m[a][b]": {"1"}, "m[c": {"1"}}, f); diff != "" {
		t.Errorf("left: %s", diff)
	}
	if _, err := parseForm("a=1;b=2"); err == nil || err.status != 400 {
		t.Errorf("a semicolon: %+v", err)
	}
}

// FuzzForm: whatever is sent, a form that is taken gives an endpoint that can be shown,
// kept and read again.
func FuzzForm(f *testing.F) {
	f.Add("url=https://a.b/c&enabled_events[]=*&metadata[a]=b&api_version=2023-10-16&connect=true&description=x")
	f.Add("enabled_events[1]=charge.failed&enabled_events[0]=*&metadata=")
	f.Add("a[][]=1&b[=2&]=3&e=1&e[]=2")
	f.Fuzz(func(t *testing.T, raw string) {
		got, err := parseForm(raw)
		if err != nil {
			return
		}
		e := &endpoint{ID: "we_1", Secrets: []secret{newSecret()}}
		if e.apply(got, "api_version", "connect", "disabled") != nil {
			return
		}
		if text(jsonscan.Get(e.rendered(false), "url")) != e.URL {
			t.Fatalf("shown as %s", e.rendered(false))
		}
	})
}
