//go:build unix

package e2e_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestBrowserFindsFaults: what the console's tests rely on is not blind.
func TestBrowserFindsFaults(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/favicon.ico" {
			return
		}
		w.Header().Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; img-src *")
		fmt.Fprint(w, `<!doctype html><html lang=en><title>x</title><h1>Faults</h1><p style="color: #bbb">faint`,
			`<img src="http://elsewhere.invalid/a.png"><script>document.title = "run"</script><main><button>Press  me</button></main><input name=n aria-label=n>`)
	}))
	defer server.Close()
	p := newPage(t)
	p.visit(server.URL)
	p.shows("faults")
	if got := eval[string](p, "document.title"); got != "x" {
		t.Errorf("the page's own script ran: the title is %q", got)
	}
	p.fill("n", "typed")
	if got := eval[string](p, `document.querySelector("input").value`); got != "typed" {
		t.Errorf("typed %q", got)
	}
	p.click("press me")
	found := strings.Join(p.axe(), "\n")
	if !strings.Contains(found, "image-alt") {
		t.Errorf("axe-core does not find that the image has no text: %s", found)
	}
	for _, want := range []string{"a request for http://elsewhere.invalid", "ERR_NAME_NOT_RESOLVED", "inline style", "inline script"} {
		if !p.forgive(want) {
			t.Errorf("the harness does not hear of %q: %q", want, p.faults)
		}
	}
}
