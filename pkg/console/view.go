package console

import (
	"bytes"
	"errors"
	"html/template"
	"io/fs"
	"net/http"
	"strings"
)

// Parse parses the templates of a page, with the functions of [Funcs] and the parts of a job's
// page (assets/parts.html). A mistake panics.
func Parse(files fs.FS, patterns ...string) *template.Template {
	views := template.Must(template.New("").Funcs(Funcs()).ParseFS(assets, "assets/parts.html"))
	return template.Must(views.ParseFS(files, patterns...))
}

// bind returns a copy of a page's templates with the functions of this server.
func (s *Server) bind(views *template.Template) *template.Template {
	own := template.Must(views.Clone())
	return own.Funcs(s.funcs(own))
}

// funcs are the functions that need the server; [Funcs] has their names for parsing.
func (s *Server) funcs(views *template.Template) template.FuncMap {
	return template.FuncMap{
		"token": func() template.HTML {
			return template.HTML(`<input type="hidden" name="` + tokenField + `" value="` + s.csrf + `">`)
		},
		"readonly": func() bool { return s.config.ReadOnly },
		"live": func(name string, data any) (template.HTML, error) {
			var html bytes.Buffer
			err := views.ExecuteTemplate(&html, livePrefix+name, data)
			return template.HTML(`<div class="live" data-live="` + template.HTMLEscapeString(name) + `">` + html.String() + `</div>`), err
		},
	}
}

type navGroup struct {
	Name  string
	Items []navItem
}

type navItem struct{ Name, Path, Nav string }

func navigation(pages []Page) (groups []navGroup) {
	seen := map[string]bool{}
	at := map[string]int{}
	for _, p := range pages {
		if p.Nav == "" || seen[p.Nav] || strings.Contains(p.Path, "{") {
			continue
		}
		seen[p.Nav] = true
		group, name, _ := strings.Cut(p.Nav, "/")
		i, ok := at[group]
		if !ok {
			i = len(groups)
			at[group] = i
			groups = append(groups, navGroup{Name: group})
		}
		groups[i].Items = append(groups[i].Items, navItem{Name: name, Path: p.Path, Nav: p.Nav})
	}
	return groups
}

// shellData is the data of layout.html.
type shellData struct {
	System, Title, Nav string
	Groups             []navGroup
	ReadOnly, Live     bool
	Running            int
	Content            template.HTML
	Versions           map[string]string
}

func (s *Server) show(w http.ResponseWriter, status int, p Page, views *template.Template, data any) {
	var content bytes.Buffer
	if err := views.ExecuteTemplate(&content, "content", data); err != nil {
		s.fail(w, err)
		return
	}
	s.layout(w, status, "layout", shellData{
		Title: p.Title, Nav: p.Nav, Live: p.Every > 0, Content: template.HTML(content.String()),
	})
}

func (s *Server) layout(w http.ResponseWriter, status int, name string, d shellData) {
	d.System, d.Groups, d.ReadOnly, d.Running = s.config.System, s.nav, s.config.ReadOnly, s.jobs.running()
	d.Versions = versions()
	var html bytes.Buffer
	if err := s.shell.ExecuteTemplate(&html, name, d); err != nil {
		http.Error(w, "The page cannot be shown: "+err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	w.Write(html.Bytes())
}

func versions() map[string]string {
	v := map[string]string{}
	for _, name := range []string{"style.css", "script.js"} {
		if raw, err := assets.ReadFile("assets/" + name); err == nil {
			v[name] = version(raw)
		}
	}
	return v
}

type problem struct {
	Text, Next string
	Missing    bool
}

// fail shows an error and what to do next.
func (s *Server) fail(w http.ResponseWriter, err error) {
	status, next := s.config.Describe(err)
	missing := errors.Is(err, ErrNotFound)
	if missing {
		status = http.StatusNotFound
	}
	var content bytes.Buffer
	if failed := s.shell.ExecuteTemplate(&content, "problem", problem{Text: err.Error(), Next: next, Missing: missing}); failed != nil {
		http.Error(w, err.Error(), status)
		return
	}
	title := "It did not work"
	if missing {
		title = "Not found"
	}
	s.layout(w, status, "layout", shellData{Title: title, Content: template.HTML(content.String())})
}

// locked answers a request without a session: the page's script exchanges the link's token.
func (s *Server) locked(w http.ResponseWriter) {
	s.layout(w, http.StatusUnauthorized, "locked", shellData{Title: "Locked"})
}
