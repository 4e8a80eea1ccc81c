package fix

import (
	"io/fs"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"tollgate/pkg/cmd/tollgate/console/job"
	"tollgate/pkg/cmd/tollgate/verb"
)

// byPath has all forms, by the path that they post to.
func byPath() map[string]job.Form {
	all := map[string]job.Form{}
	for _, f := range forms() {
		all[f.Path] = f
	}
	return all
}

// TestFormsAreFlags: each flag of a form is one of its verb.
func TestFormsAreFlags(t *testing.T) {
	for path, f := range byPath() {
		args := append([]string{}, f.Always...)
		for _, name := range f.Bools {
			args = append(args, "--"+name)
		}
		for _, name := range f.Flags {
			args = append(args, "--"+name+"=1")
		}
		if err := verb.Parse(f.New(), args); err != nil && strings.Contains(err.Error(), "unknown") {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// TestExportNeedsAFile: without one, the events' bodies would be a job's output.
func TestExportNeedsAFile(t *testing.T) {
	action := byPath()["/dead/export"].Action(nil)
	if _, err := action.Do(t.Context(), url.Values{"payload": {"on"}, "note": {"why"}, "out": {" "}}, nil); !verb.IsUsage(err) || !strings.Contains(err.Error(), "--out is empty") {
		t.Errorf("an export without a file: %v", err)
	}
}

var (
	formTag  = regexp.MustCompile(`(?s)<form method="post" action="([^"]+)".*?</form>`)
	otherTag = regexp.MustCompile(`formaction="([^"]+)"`)
	fieldTag = regexp.MustCompile(`<(?:input|select|textarea)[^>]* name="([^"]+)"`)
)

// TestFieldsAreRead: each field of a page's form is read by the form that it posts to, or by
// another one of its buttons, and each form that is posted to exists.
func TestFieldsAreRead(t *testing.T) {
	all, used := byPath(), map[string]bool{}
	pages, err := fs.Glob(templates, "*.html")
	if err != nil || len(pages) == 0 {
		t.Fatal(pages, err)
	}
	for _, page := range pages {
		raw, err := templates.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, form := range formTag.FindAllStringSubmatch(string(raw), -1) {
			paths := form[1:2]
			for _, other := range otherTag.FindAllStringSubmatch(form[0], -1) {
				paths = append(paths, other[1])
			}
			var read []string
			for _, path := range paths {
				f, ok := all[path]
				if !ok {
					t.Errorf("%s posts to %s, which no form has", page, path)
				}
				used[path] = true
				read = slices.Concat(read, f.Flags, f.Bools, []string{f.Args})
			}
			for _, field := range fieldTag.FindAllStringSubmatch(form[0], -1) {
				if !slices.Contains(read, field[1]) {
					t.Errorf("%s: field %s is not read by %s", page, field[1], paths)
				}
			}
		}
	}
	for path := range all {
		if !used[path] {
			t.Errorf("no page posts to %s", path)
		}
	}
}
