//go:build unix

package e2e_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

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
	p := shop(t, t.TempDir()).console()
	paths := p.views()
	mustHave(t, paths, "/", "/events", "/events/evt_", "/causes", "/causes/", "/pause", "/dead", "/replay", "/mail", "/customers", "/customers/cus_", "/coverage", "/endpoint", "/audit", "/jobs")
	for _, path := range paths {
		p.visit(p.at(path))
		for _, dark := range []bool{false, true} {
			for _, width := range []int{wide, phone} {
				p.look(width, dark)
				for _, found := range p.axe() {
					t.Errorf("%s, dark %v, %d px: %s", path, dark, width, found)
				}
				if over := eval[int](p, "document.documentElement.scrollWidth - innerWidth"); over > 0 {
					t.Errorf("%s is %d px wider than a window of %d px", path, over, width)
				}
			}
		}
	}
}

var screenshots = flag.String("screenshots", "", "write pictures of the console's pages into this folder")

// TestScreenshots makes a picture of each page at two widths, in light and dark.
func TestScreenshots(t *testing.T) {
	if *screenshots == "" {
		t.Skip("skipped: without -screenshots no picture is made (make screenshots)")
	}
	must(t, os.MkdirAll(*screenshots, 0o755))
	p := shop(t, t.TempDir()).console()
	for _, path := range p.views() {
		p.visit(p.at(path))
		for _, dark := range []bool{false, true} {
			for _, width := range []int{wide, phone} {
				p.look(width, dark)
				picture, err := chromedp.Run(p.ctx, chromedp.FullScreenshot(100))
				must(t, err)
				name := strings.Trim(strings.NewReplacer("/", "_", "?", "_", "&", "_", "=", "_").Replace(path), "_")
				if parts := strings.Split(path, "/"); len(parts) > 2 {
					name = strings.Join(append([]string{parts[1] + "_one"}, parts[3:]...), "_")
				}
				if name == "" {
					name = "overview"
				}
				scheme := map[bool]string{false: "light", true: "dark"}[dark]
				must(t, os.WriteFile(filepath.Join(*screenshots, fmt.Sprintf("%s-%d-%s.png", name, width, scheme)), picture, 0o644))
			}
		}
	}
}

// shop runs the consumer of a shop with broken handlers on some customers' lives.
func shop(t *testing.T, data string) *system {
	t.Helper()
	s := shopOn(t, data)
	for _, scene := range []string{"subscription-life", "trial-to-paid", "void-and-uncollectible", "refund", "dispute", "many-items", "async-checkout", "pause-and-resume"} {
		s.play(scene, "2")
	}
	return s
}

func shopOn(t *testing.T, data string, args ...string) *system {
	t.Helper()
	return start(t, data, append([]string{"--functions", filepath.Join(binaries, "shop"), "--console-listen", "127.0.0.1:0"}, args...)...)
}
