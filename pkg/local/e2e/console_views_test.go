//go:build unix

package e2e_test

import (
	"cmp"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	cdppage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// console opens the console of a running system.
func (s *system) console() *page {
	s.t.Helper()
	p := newPage(s.t)
	p.visit(s.info.Console)
	p.until(`document.querySelector("nav a")`)
	p.forgive("401 (Unauthorized)") // the page that exchanges the link's token
	return p
}

// planned opens the console with a redrive of dead letters that waits for its confirmation.
func (s *system) planned() *page {
	s.t.Helper()
	eventually(s.t, func() (bool, string) { return s.depth(s.info.DLQURL) > 0, "no dead letters" })
	p := s.console()
	p.visit(p.at("/dead"))
	p.fill("note", "fixed in release 4.2")
	p.do(chromedp.Click(chromedp.CSS("[name=all]")))
	p.follow("plan a redrive")
	p.shows("nothing is changed yet", "dead letters are selected")
	return p
}

// at is an address of the console.
func (p *page) at(path string) string {
	p.t.Helper()
	return eval[string](p, "location.origin") + path
}

// views visits what links lead to, one of each kind of page, and returns their paths. A kind has
// the same path but for its second part, as /events/ID; queries do not count.
func (p *page) views() (paths []string) {
	p.t.Helper()
	seen := map[string]bool{"/": true}
	for next := []string{"/"}; len(next) > 0; next = next[1:] {
		p.visit(p.at(next[0]))
		p.until(`document.querySelector("main h1")`)
		paths = append(paths, next[0])
		links := eval[[]string](p, `[...document.querySelectorAll("a[href^='/']:not([download])")].map(a => a.getAttribute("href").split("#")[0])`)
		for _, link := range links {
			path, _, _ := strings.Cut(link, "?")
			parts := strings.Split(path, "/")
			if len(parts) > 2 && parts[2] != "" {
				parts[2] = "*"
			}
			if kind := strings.Join(parts, "/"); !seen[kind] {
				seen[kind] = true
				next = append(next, link)
			}
		}
	}
	slices.Sort(paths)
	return paths
}

// mustHave fails the test if the crawl did not find these pages.
func mustHave(t *testing.T, paths []string, prefixes ...string) {
	t.Helper()
	for _, prefix := range prefixes {
		if !slices.ContainsFunc(paths, func(path string) bool { return strings.HasPrefix(path, prefix) }) {
			t.Errorf("no link leads to a page %s: %q", prefix, paths)
		}
	}
}

const (
	wide  = 1440
	phone = 390
)

// TestConsoleIsAccessible: axe-core finds nothing serious on any page, in light and dark, at both
// widths, and no page is wider than the window.
func TestConsoleIsAccessible(t *testing.T) {
	t.Parallel()
	p := shop(t, t.TempDir()).planned()
	paths := p.views()
	mustHave(t, paths, "/", "/events", "/events/evt_", "/causes", "/causes/", "/pause", "/dead", "/dead/", "/replay", "/mail", "/customers", "/customers/cus_", "/coverage", "/endpoint", "/audit", "/jobs")
	for _, path := range paths {
		p.visit(p.at(path))
		for _, dark := range []bool{false, true} {
			for _, width := range []int{wide, phone} {
				p.look(width, dark)
				for _, found := range p.axe() {
					t.Errorf("%s, dark %v, %d px: %s", path, dark, width, found)
				}
				if over := eval[string](p, `[...document.querySelectorAll("body *")].filter(e => e.getBoundingClientRect().right > innerWidth + 1 && document.documentElement.scrollWidth > innerWidth)
					.map(e => e.outerHTML.slice(0, 100)).slice(0, 3).join("\n")`); over != "" {
					t.Errorf("%s is wider than a window of %d px:\n%s", path, width, over)
				}
			}
		}
	}
}

var screenshots = flag.String("screenshots", "", "write pictures of the console's pages into this folder")

// TestScreenshots makes a picture of each page at two widths, in light and dark, and the two of
// README.md, after minutes of traffic. Someone has to look at them.
func TestScreenshots(t *testing.T) {
	if *screenshots == "" {
		t.Skip("skipped: without -screenshots no picture is made (make screenshots)")
	}
	must(t, os.MkdirAll(*screenshots, 0o755))
	folder, err := filepath.Abs(*screenshots)
	must(t, err)
	t.Chdir(t.TempDir()) // the console names the system by its folder
	s := shop(t, ".tollgate", "--time-scale", "20", "--hold-after", "10000h", "--max-receives", "9")
	s.shopTraffic(30)
	p := s.planned()
	save := func(name string, picture []byte, err error) {
		t.Helper()
		must(t, err)
		must(t, os.WriteFile(filepath.Join(folder, name), picture, 0o644))
	}
	for _, path := range p.views() {
		p.visit(p.at(path))
		name, _, _ := strings.Cut(strings.Trim(path, "/"), "?")
		if parts := strings.Split(name, "/"); len(parts) > 1 {
			parts[1] = "one"
			name = strings.Join(parts, "-")
		}
		for scheme, dark := range map[string]bool{"light": false, "dark": true} {
			for _, width := range []int{wide, phone} {
				p.look(width, dark)
				picture, err := chromedp.Run(p.ctx, chromedp.FullScreenshot(100))
				save(fmt.Sprintf("%s-%d-%s.png", cmp.Or(name, "overview"), width, scheme), picture, err)
			}
		}
	}
	small := func(name, path string, dark bool) {
		p.visit(p.at(path))
		p.until(`document.querySelector("main h1") && document.querySelector("[data-live-state]")?.innerText == "live"`)
		p.look(1200, dark)
		shot, err := chromedp.Call(p.ctx, cdppage.CaptureScreenshot, cdppage.CaptureScreenshotParams{Format: cdppage.CaptureScreenshotFormatWebp, Quality: new(int64(80))})
		save(name, shot.Data, err)
	}
	small("readme-overview.webp", "/?range=15m", false)
	p.visit(p.at("/events"))
	small("readme-event.webp", eval[string](p, `document.querySelector("main td a.event").getAttribute("href")`), true)
}

// shopTraffic sends events for some rounds of five seconds each, some of them with a wrong signature,
// and makes changes as an operator does.
func (s *system) shopTraffic(rounds int) {
	s.t.Helper()
	for i := range rounds {
		for j, typ := range []string{"invoice.paid", "customer.subscription.updated", "payment_intent.succeeded", "charge.refunded"} {
			s.tollgate("send", typ, "--count", strconv.Itoa(5+(i*7+j*3)%9), "--rate", "8")
		}
		if body := event(fmt.Sprint(i), "invoice.paid"); i%4 == 0 {
			request(http.MethodPost, s.info.URL, body, map[string]string{"Content-Type": "application/json", "Stripe-Signature": sign(body, "whsec_wrong", time.Now())})
		}
		switch i {
		case rounds / 2:
			s.tollgate("redrive", "--type", "customer.created", "--canary", "1", "--note", "the template for nb-NO is deployed")
		case rounds - 6:
			s.tollgate("pause", "charge.refunded", "--note", "the accounting system is down until 15:00")
		}
	}
}

// shop runs the consumer of a shop with broken handlers on some customers' lives.
func shop(t *testing.T, data string, args ...string) *system {
	t.Helper()
	s := shopOn(t, data, args...)
	for _, scene := range []string{"subscription-life", "trial-to-paid", "void-and-uncollectible", "refund", "dispute", "many-items", "async-checkout", "pause-and-resume"} {
		s.play(scene, "2")
	}
	return s
}

func shopOn(t *testing.T, data string, args ...string) *system {
	t.Helper()
	return start(t, data, append([]string{"--functions", filepath.Join(binaries, "shop"), "--console-listen", "127.0.0.1:0"}, args...)...)
}
