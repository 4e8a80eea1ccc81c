//go:build unix

package e2e_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// TestConsoleShell: a page needs the link of this start; the viewer's choices stay; an update
// leaves what a person does; a page of an ended process names the new link.
func TestConsoleShell(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	s := start(t, data, append(trials(), "--console-listen", "127.0.0.1:0")...)
	address, token, _ := strings.Cut(strings.TrimPrefix(s.info.Console, "http://"), "/#")

	stranger := newPage(t)
	stranger.visit("http://" + address + "/events")
	stranger.shows("Open the console by its link")
	stranger.visit("http://" + address + "/#" + strings.Repeat("A", len(token)))
	stranger.shows("of an earlier start")
	if !stranger.forgive("401") {
		t.Error("a page without the link's token is served")
	}

	p := s.console()
	if url := eval[string](p, "location.href"); strings.Contains(url, token) || eval[string](p, "document.cookie") != "" {
		t.Errorf("the token stays in %s, or scripts read the cookie", url)
	}
	p.keepsWork(s)
	p.chooses("/events/evt_shell_0")

	s.kill()
	p.until(`document.querySelector("[data-live-state]").dataset.state === "lost"`)
	start(t, data, append(trials(), "--console-listen", address)...)
	p.shows("This console was started again", "Open its new link")
	p.forgive("")
}

// chooses: zone and colors are the viewer's, and stay on the next page.
func (p *page) chooses(path string) {
	p.t.Helper()
	p.visit(p.at(path))
	p.until(`document.querySelector("main time:not([data-ago])")`)
	press := func(button string) {
		p.do(chromedp.Click(chromedp.JSPath(`document.querySelector("header [data-` + button + `]")`)))
	}
	press("zone")
	p.until(`[...document.querySelectorAll("main time:not([data-ago])")].every(e => e.textContent.endsWith(" UTC"))`)
	p.look(1280, false)
	press("theme-switch")
	press("theme-switch")
	dark := `document.documentElement.dataset.theme === "dark" && getComputedStyle(document.body).backgroundColor`
	p.until(dark)
	if color := eval[string](p, dark); color != "rgb(20, 22, 26)" {
		p.t.Errorf("dark is %s", color)
	}
	p.visit(p.at("/audit"))
	p.until(dark)
	p.shows("UTC")
	p.look(390, false)
	menu := `document.querySelector("header .menu")`
	p.do(chromedp.Focus(chromedp.JSPath(menu)), chromedp.KeyEvent("\r"))
	p.until(menu + `.ariaExpanded === "true" && document.querySelector("nav a").checkVisibility()`)
	if motion := eval[string](p, `getComputedStyle(document.body).transitionDuration + getComputedStyle(document.body).animationName`); motion != "0snone" {
		p.t.Errorf("with reduced motion: %s", motion)
	}
	p.look(1280, false)
}

// keepsWork: what is typed, open, focused and selected stays while new rows come.
func (p *page) keepsWork(s *system) {
	p.t.Helper()
	s.enqueue(trial("shell_0", "fails"))
	p.visit(p.at("/events"))
	p.shows("evt_shell_0")
	p.fill("type", "half typ")
	eval[bool](p, `(getSelection().selectAllChildren(document.querySelector("#e-evt_shell_0 a")), document.querySelector("main details").open = true)`)
	eval[bool](p, `(window.node = document.querySelector("#e-evt_shell_0"), document.querySelector("#e-evt_shell_0 a").focus(), true)`)
	for i := 1; i < 4; i++ {
		s.enqueue(trial(fmt.Sprintf("shell_%d", i), "fails"))
	}
	p.shows("evt_shell_3")
	for what, kept := range map[string]string{
		"text": `document.querySelector("main [name=type]").value === "half typ"`, "details": `document.querySelector("main details").open`,
		"selection": `getSelection().toString() === "evt_shell_0"`, "row": `window.node === document.querySelector("#e-evt_shell_0")`,
		"focus": `document.activeElement === document.querySelector("#e-evt_shell_0 a")`,
	} {
		if !eval[bool](p, kept) {
			p.t.Errorf("an update loses the %s", what)
		}
	}
}
