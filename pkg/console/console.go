// Package console serves the pages of a system on loopback: layout, security, live updates
// and jobs. It knows no AWS, no verb and no table; a command gives it pages and actions.
//
//	s, err := console.New(ctx, console.Config{System: "the local system", Pages: pages, Actions: actions})
//	go s.Serve(listener)
//	fmt.Println(s.Link())
//	err = s.Close(ctx)
//
// A page never changes anything: every change is a POST with a token, refused in read-only mode.
package console

import (
	"context"
	"crypto/rand"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"
)

//go:embed assets
var assets embed.FS

// Page is one view.
type Page struct {
	Path  string // pattern of net/http without a method, for example "/events/{id}"
	Title string
	// Nav is the navigation entry that the page belongs to, as "Group/Entry"; "" for none. The
	// first page of an entry whose path has no wildcard is what the entry links to.
	Nav string
	// Views is made with [Parse]. It has a template "content", and a template "live-NAME" for
	// each {{live "NAME" .}} in it.
	Views *template.Template
	// Load returns the data of the templates. It runs again for live updates, so it changes nothing.
	Load  func(ctx context.Context, r *http.Request) (any, error)
	Every time.Duration // between live updates while the page is visible; 0 for none
}

// Action is a change: POST Path with the form's hidden {{token}}.
type Action struct {
	Path string // pattern of net/http without a method
	// Do returns where the browser goes next. The values of the path's wildcards are in the form.
	Do func(ctx context.Context, form url.Values, jobs *Jobs) (redirect string, err error)
}

// Config describes a console.
type Config struct {
	System   string // its name, for people
	Pages    []Page
	Actions  []Action
	ReadOnly bool // refuse every action

	// Describe returns an error's HTTP status and what to do next. Default: 500 and nothing.
	Describe func(error) (status int, next string)
	// AuditID returns the id of the audit entry that a line of a job's progress names, "" for
	// none. The job's page links to /audit?id=ID.
	AuditID func(line string) string
	Log     io.Writer // panics of pages; default: discarded
}

// ErrNotFound means that a page's subject does not exist: the answer is 404.
var ErrNotFound = errors.New("not found")

// NotFound returns an error with the same text that wraps [ErrNotFound] too.
func NotFound(err error) error { return notFound{err} }

type notFound struct{ error }

func (e notFound) Unwrap() []error { return []error{e.error, ErrNotFound} }

type redirect string

func (r redirect) Error() string { return "go to " + string(r) }

// Redirect returns an error of Load that sends the browser to a path of the console.
func Redirect(path string) error { return redirect(path) }

// Server is a console. Its sessions and jobs end with it.
type Server struct {
	config  Config
	nav     []navGroup
	jobs    *Jobs
	handler http.Handler
	live    *http.ServeMux // the pages' patterns, served as streams
	shell   *template.Template
	server  *http.Server

	link, session, csrf string // secrets of this start
	host                atomic.Pointer[string]
	streams             chan struct{} // one entry for each open stream
	writeTimeout        time.Duration // of one write to a stream

	ctx  context.Context
	stop context.CancelFunc
}

// New returns a console that serves nothing yet. Its jobs end with ctx. A mistake in a page
// panics, as [http.ServeMux.Handle] does.
func New(ctx context.Context, c Config) *Server {
	if c.Describe == nil {
		c.Describe = func(error) (int, string) { return http.StatusInternalServerError, "" }
	}
	if c.AuditID == nil {
		c.AuditID = func(string) string { return "" }
	}
	if c.Log == nil {
		c.Log = io.Discard
	}
	s := &Server{
		config: c, live: http.NewServeMux(), streams: make(chan struct{}, maxStreams), writeTimeout: writeTimeout,
		link: rand.Text(), session: rand.Text(), csrf: rand.Text(),
	}
	s.ctx, s.stop = context.WithCancel(ctx)
	s.jobs = newJobs(s.ctx, c.AuditID, c.Describe)
	s.config.Pages = append(s.config.Pages, s.jobs.pages()...)
	s.nav = navigation(s.config.Pages)
	s.shell = s.bind(Parse(assets, "assets/layout.html"))
	s.handler = s.guard(s.routes())
	s.server = &http.Server{
		Handler: s.handler, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: 2 * time.Minute,
		ErrorLog: log.New(c.Log, "console: ", 0), BaseContext: func(net.Listener) context.Context { return s.ctx },
	}
	return s
}

// Jobs are the running and finished jobs.
func (s *Server) Jobs() *Jobs { return s.jobs }

// Serve serves until Close. The listener's address is the only Host that is answered.
func (s *Server) Serve(l net.Listener) error {
	s.Bind(l.Addr().String())
	if err := s.server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve console: %w", err)
	}
	return nil
}

// Bind sets the address before Serve, so that Link is complete.
func (s *Server) Bind(address string) { s.host.Store(&address) }

// Address is the origin of the pages, without the token.
func (s *Server) Address() string { return "http://" + *s.host.Load() }

// Link opens the console in a browser. It has the token of this start in its fragment, which
// browsers do not send.
func (s *Server) Link() string { return s.Address() + "/#" + s.link }

// Close ends streams and jobs, and waits for them until ctx ends.
func (s *Server) Close(ctx context.Context) error {
	s.stop()
	err := s.server.Shutdown(ctx)
	if err != nil {
		s.server.Close()
	}
	return errors.Join(err, s.jobs.wait(ctx))
}

const loadTimeout = 30 * time.Second

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	for _, p := range s.config.Pages {
		views := s.bind(p.Views)
		path := exact(p.Path)
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) { s.page(w, r, p, views) })
		s.live.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) { s.stream(w, r, p, views) })
	}
	for _, a := range append(s.config.Actions, s.jobs.actions()...) {
		mux.HandleFunc("POST "+exact(a.Path), func(w http.ResponseWriter, r *http.Request) { s.act(w, r, a) })
	}
	mux.HandleFunc("GET /live", s.serveLive)
	mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) {
		s.fail(w, NotFound(errors.New("no page has this address")))
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mux.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), jobsKey{}, s.jobs)))
	})
}

// exact keeps "/" from matching every path.
func exact(path string) string {
	if strings.HasSuffix(path, "/") {
		return path + "{$}"
	}
	return path
}

func (s *Server) page(w http.ResponseWriter, r *http.Request, p Page, views *template.Template) {
	ctx, cancel := context.WithTimeout(r.Context(), loadTimeout)
	defer cancel()
	data, err := s.load(ctx, r, p)
	if to, ok := errors.AsType[redirect](err); ok {
		http.Redirect(w, r, string(to), http.StatusSeeOther)
		return
	}
	if err != nil {
		s.fail(w, err)
		return
	}
	s.show(w, http.StatusOK, p, views, data)
}

// load returns the data of a page. A panic is an error of this page, not of the console.
func (s *Server) load(ctx context.Context, r *http.Request, p Page) (data any, err error) {
	defer s.recovered(&err)
	return p.Load(ctx, r)
}

func (s *Server) recovered(err *error) {
	if v := recover(); v != nil {
		fmt.Fprintf(s.config.Log, "console: panic: %v\n%s", v, debug.Stack())
		*err = fmt.Errorf("this page failed (panic: %v): the console's output has where", v)
	}
}

func (s *Server) act(w http.ResponseWriter, r *http.Request, a Action) {
	form := url.Values{}
	for name, values := range r.PostForm {
		if name != tokenField {
			form[name] = values
		}
	}
	for _, part := range strings.Split(a.Path, "/") {
		if name := strings.Trim(part, "{}"); name != part {
			form.Set(name, r.PathValue(name))
		}
	}
	ctx, cancel := context.WithTimeout(r.Context(), loadTimeout)
	defer cancel()
	to, err := func() (to string, err error) {
		defer s.recovered(&err)
		return a.Do(ctx, form, s.jobs)
	}()
	if err != nil {
		s.fail(w, err)
		return
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
}
