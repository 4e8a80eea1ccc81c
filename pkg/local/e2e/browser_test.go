//go:build unix

package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// page is a tab of a real Chromium that knows no other host than this machine.
type page struct {
	t   *testing.T
	ctx context.Context

	mu     sync.Mutex
	faults []string // what the browser complained about, and requests to elsewhere
}

// newPage starts a browser with an empty profile and ends it with the test, which fails if a
// script failed, the policy of the page forbade something, or a request was for another host.
func newPage(t *testing.T) *page {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(chromium(t)), chromedp.UserDataDir(t.TempDir()),
		chromedp.NoInheritEnv, chromedp.Env("HOME="+t.TempDir()), chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"),
		chromedp.Flag("disable-component-update", true))
	if os.Getuid() == 0 {
		options = append(options, chromedp.NoSandbox)
	}
	browser, stop := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, cancel := chromedp.NewContext(browser)
	p := &page{t: t, ctx: ctx}
	t.Cleanup(func() {
		cancel()
		stop()
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, fault := range p.faults {
			t.Errorf("the browser: %s", fault)
		}
	})
	must(t, chromedp.Do(ctx)) // starts it
	must(t, chromedp.Listen(ctx, p.heard))
	return p
}

// chromium is the browser's path. Without one the test is skipped, but not in CI.
func chromium(t testing.TB) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	lacking(t, "chromium is not installed: apt-get install chromium")
	return ""
}

func lacking(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("TOLLGATE_ORACLES") == "required" {
		t.Fatal(what)
	}
	t.Skip("skipped: " + what)
}

func (p *page) heard(event any) {
	fault := ""
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		fault = "exception: " + e.ExceptionDetails.Text
		if e.ExceptionDetails.Exception != nil {
			fault += " " + e.ExceptionDetails.Exception.Description
		}
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError {
			fault = e.Entry.Text + " " + e.Entry.URL
		}
	case *network.EventRequestWillBeSent:
		if to, err := url.Parse(e.Request.URL); err != nil || to.Scheme == "http" && to.Hostname() != "127.0.0.1" || to.Scheme == "https" {
			fault = "a request for " + e.Request.URL
		}
	}
	if fault != "" {
		p.mu.Lock()
		p.faults = append(p.faults, fault)
		p.mu.Unlock()
	}
}

// forgive forgets the faults so far that contain a text, and reports whether there were any.
func (p *page) forgive(text string) (any bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var rest []string
	for _, fault := range p.faults {
		if strings.Contains(fault, text) {
			any = true
		} else {
			rest = append(rest, fault)
		}
	}
	p.faults = rest
	return any
}

func (p *page) do(steps ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		p.t.Fatalf("%v, on the page:\n%s", err, p.text())
	}
}

// visit opens an address and waits until its page has loaded.
func (p *page) visit(address string) {
	p.t.Helper()
	p.do(chromedp.Navigate(address))
}

// eval evaluates an expression in a page.
func eval[T any](p *page, expression string) T {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		p.t.Fatalf("%v of %.200s", err, expression)
	}
	return v
}

// text is what a reader sees.
func (p *page) text() string {
	v, _ := chromedp.Run(p.ctx, chromedp.Evaluate[string](`document.body ? document.body.innerText : ""`))
	return v
}

// until waits for an expression to be true. A page that navigates meanwhile is asked again.
func (p *page) until(expression string) {
	p.t.Helper()
	eventually(p.t, func() (bool, string) {
		v, err := chromedp.Run(p.ctx, chromedp.Evaluate[bool]("!!("+expression+")"))
		if err == nil && v {
			return true, ""
		}
		return false, fmt.Sprintf("%s is false (%v) on the page:\n%s", expression, err, p.text())
	})
}

// shows waits until the page has all of the texts, whatever their case and white space.
func (p *page) shows(texts ...string) {
	p.t.Helper()
	for _, text := range texts {
		p.until(fmt.Sprintf(`document.body.innerText.toLowerCase().replace(/\s+/g, " ").includes(%q)`, strings.ToLower(text)))
	}
}

// control finds what can be clicked by its name, or by the beginning of its name.
func control(name string) chromedp.JSPath {
	return chromedp.JSPath(fmt.Sprintf(`((all, name) => all.find(e => e.n === name) || all.find(e => e.n.startsWith(name)))(
		[...document.querySelectorAll("main :is(button, a, summary), body > button")].filter(e => e.checkVisibility() && !e.disabled)
			.map(e => (e.n = e.innerText.replace(/\s+/g, " ").trim().toLowerCase(), e)), %q)`, strings.ToLower(name)))
}

// click clicks a button, link or disclosure by its name, as soon as it is there.
func (p *page) click(name string) {
	p.t.Helper()
	p.until(string(control(name)))
	p.do(chromedp.Click(control(name)))
}

// fill replaces the text of a form field by the keyboard, or chooses an option.
func (p *page) fill(name, value string) {
	p.t.Helper()
	field := fmt.Sprintf(`document.querySelector(':is(input, select, textarea)[name=%q]')`, name)
	p.until(field)
	if eval[string](p, field+".tagName") == "SELECT" {
		p.do(chromedp.SetValue(chromedp.JSPath(field), value))
		eval[bool](p, field+`.dispatchEvent(new Event("change", {bubbles: true}))`)
		return
	}
	p.do(chromedp.Focus(chromedp.JSPath(field)))
	eval[bool](p, field+`.select() || true`)
	p.do(chromedp.SendKeys(chromedp.JSPath(field), value))
}

// look sets the width of the window and the color scheme.
func (p *page) look(width int, dark bool) {
	p.t.Helper()
	scheme, height := "light", int64(900)
	if dark {
		scheme = "dark"
	}
	if width < 600 {
		height = 800
	}
	_, err := chromedp.Call(p.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"}},
	})
	must(p.t, err)
	p.do(chromedp.EmulateViewport(int64(width), height))
}

// axe returns what axe-core finds of a page's accessibility, one line each, where it is serious
// or critical.
func (p *page) axe() (found []string) {
	p.t.Helper()
	dir := os.Getenv("TOLLGATE_ORACLES_DIR")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", ".build", "oracles")
	}
	script, err := os.ReadFile(filepath.Join(dir, "node_modules", "axe-core", "axe.min.js"))
	if err != nil {
		lacking(p.t, "axe-core is not installed: sh pkg/local/aws/conformance/install-oracles.sh")
	}
	eval[json.RawMessage](p, string(script)+"; null")
	var result struct {
		Version    string
		Violations []struct {
			ID, Impact, Help string
			Nodes            []struct {
				HTML           string
				FailureSummary string
			}
		}
	}
	must(p.t, json.Unmarshal([]byte(eval[string](p, `axe.run().then(r => JSON.stringify({version: r.testEngine.version, violations: r.violations}))`)), &result))
	if result.Version != "4.14.1" {
		p.t.Fatalf("axe-core is %q, not 4.14.1", result.Version)
	}
	for _, v := range result.Violations {
		if v.Impact != "serious" && v.Impact != "critical" {
			continue
		}
		for _, n := range v.Nodes {
			found = append(found, fmt.Sprintf("%s (%s): %s\n\t%.300s\n\t%s", v.ID, v.Impact, v.Help, n.HTML, n.FailureSummary))
		}
	}
	return found
}
