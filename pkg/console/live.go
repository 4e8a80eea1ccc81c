package console

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"hash/maphash"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

const (
	maxStreams   = 32
	writeTimeout = 10 * time.Second // a reader that is slower is cut off
	heartbeat    = 15 * time.Second

	livePrefix = "live-"
)

// serveLive streams the page whose path is in the query, with the page's own query.
func (s *Server) serveLive(w http.ResponseWriter, r *http.Request) {
	u, err := url.Parse(r.URL.Query().Get("path"))
	if err != nil || u.IsAbs() || u.Host != "" || !strings.HasPrefix(u.Path, "/") {
		refuse(w, http.StatusBadRequest, "path is a page's address")
		return
	}
	page := r.Clone(r.Context())
	page.URL, page.RequestURI = u, u.RequestURI()
	s.live.ServeHTTP(w, page)
}

// stream sends the blocks of a page that changed, until the reader goes.
func (s *Server) stream(w http.ResponseWriter, r *http.Request, p Page, views *template.Template) {
	names := blocks(views)
	if p.Every <= 0 || len(names) == 0 {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	select {
	case s.streams <- struct{}{}:
		defer func() { <-s.streams }()
	default:
		w.Header().Set("Retry-After", "10")
		refuse(w, http.StatusServiceUnavailable, "too many pages are open at once")
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no")
	l := liveStream{server: s, w: w, control: http.NewResponseController(w), seed: maphash.MakeSeed(), sent: map[string]uint64{}}
	tick := time.NewTicker(p.Every)
	defer tick.Stop()
	for {
		if err := l.update(r, p, views, names); err != nil {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-s.ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// blocks returns the names of the live blocks.
func blocks(views *template.Template) (names []string) {
	for _, t := range views.Templates() {
		if name, ok := strings.CutPrefix(t.Name(), livePrefix); ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

type liveStream struct {
	server  *Server
	w       http.ResponseWriter
	control *http.ResponseController
	seed    maphash.Seed
	sent    map[string]uint64 // hash of each block's HTML
	last    time.Time
}

// update loads the page and sends what changed. It returns an error when the reader is gone.
func (l *liveStream) update(r *http.Request, p Page, views *template.Template, names []string) error {
	ctx, cancel := context.WithTimeout(r.Context(), loadTimeout)
	data, err := l.server.load(ctx, r, p)
	cancel()
	if gone := r.Context().Err(); gone != nil {
		return gone
	}
	if err != nil {
		_, next := l.server.config.Describe(err)
		return l.send("problem", map[string]string{"text": strings.TrimSpace(err.Error() + "\n" + next)})
	}
	if err := l.changed(views, names, data); err != nil {
		return err
	}
	if time.Since(l.last) >= heartbeat {
		return l.send("same", map[string]string{})
	}
	return nil
}

func (l *liveStream) changed(views *template.Template, names []string, data any) error {
	var html bytes.Buffer
	for _, name := range names {
		html.Reset()
		if err := views.ExecuteTemplate(&html, livePrefix+name, data); err != nil {
			return l.send("problem", map[string]string{"text": err.Error()})
		}
		sum := maphash.Bytes(l.seed, html.Bytes())
		if before, ok := l.sent[name]; ok && before == sum {
			continue
		}
		l.sent[name] = sum
		if err := l.send("block", map[string]string{"name": name, "html": html.String()}); err != nil {
			return err
		}
	}
	return nil
}

func (l *liveStream) send(event string, data map[string]string) error {
	raw, err := json.Marshal(data)
	if err != nil {
		return err
	}
	if err := l.control.SetWriteDeadline(time.Now().Add(l.server.writeTimeout)); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(l.w, "event: %s\ndata: %s\n\n", event, raw); err != nil {
		return err
	}
	l.last = time.Now()
	return l.control.Flush()
}
