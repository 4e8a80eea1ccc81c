package console

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"net"
	"net/http"
	"path"
	"strings"
)

const (
	tokenField   = "token" // of a form
	maxFormBytes = 64 << 10

	policy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

// guard serves what the console's own pages ask for, in this order: headers, Host, where the
// request comes from, assets and the exchange of the link's token, session, token of a form.
func (s *Server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		setHeaders(w.Header())
		host := *s.host.Load()
		read := r.Method == http.MethodGet || r.Method == http.MethodHead
		switch {
		case r.Host != host:
			refuse(w, http.StatusMisdirectedRequest, "this console is at http://"+host+" only")
		case !fromHere(r, "http://"+host, read):
			refuse(w, http.StatusForbidden, "this request comes from another site's page")
		case read && strings.HasPrefix(r.URL.Path, "/assets/"):
			asset(w, r)
		case r.URL.Path == "/session":
			s.open(w, r)
		case !s.hasSession(r):
			s.locked(w)
		case read:
			next.ServeHTTP(w, r)
		default:
			s.change(w, r, next)
		}
	})
}

func setHeaders(h http.Header) {
	for name, value := range map[string]string{
		"Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY",
		"Referrer-Policy":            "same-origin", // with no-referrer, browsers send forms with "Origin: null"
		"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin",
		"Permissions-Policy": "camera=(), microphone=(), geolocation=()", "Cache-Control": "no-store",
	} {
		h.Set(name, value)
	}
}

// fromHere reports whether a request may come from the console's own pages, or is a person's
// visit. Every browser sends Origin with a POST. Other ports of this host are the same site
// for cookies, so "same-site" is not enough.
func fromHere(r *http.Request, origin string, read bool) bool {
	site := r.Header.Get("Sec-Fetch-Site")
	own := site == "" || site == "same-origin"
	if read {
		visit := r.Header.Get("Sec-Fetch-Mode") == "navigate" && r.Header.Get("Sec-Fetch-Dest") == "document"
		from := r.Header.Get("Origin")
		return (own || site == "none" || visit) && (from == "" || from == origin)
	}
	return own && r.Header.Get("Origin") == origin
}

// open exchanges the link's token for the session's cookie.
func (s *Server) open(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxFormBytes)
	if r.Method != http.MethodPost || !same(r.PostFormValue(tokenField), s.link) {
		refuse(w, http.StatusUnauthorized, "this link is of an earlier start, or incomplete")
		return
	}
	http.SetCookie(w, &http.Cookie{Name: s.cookie(), Value: s.session, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode})
	w.WriteHeader(http.StatusNoContent)
}

// cookie has the port in its name: cookies of one host are shared between its ports.
func (s *Server) cookie() string {
	_, port, _ := net.SplitHostPort(*s.host.Load())
	return "tollgate-console-" + port
}

func (s *Server) hasSession(r *http.Request) bool {
	for _, c := range r.CookiesNamed(s.cookie()) {
		if same(c.Value, s.session) {
			return true
		}
	}
	return false
}

// change serves a request that changes something.
func (s *Server) change(w http.ResponseWriter, r *http.Request, next http.Handler) {
	r.Body = http.MaxBytesReader(w, r.Body, maxFormBytes)
	if err := r.ParseForm(); err != nil {
		refuse(w, http.StatusBadRequest, "the form cannot be read, or has over 64 KB")
		return
	}
	switch {
	case r.Method != http.MethodPost:
		refuse(w, http.StatusMethodNotAllowed, "a change is a POST")
	case !same(r.PostForm.Get(tokenField), s.csrf):
		refuse(w, http.StatusForbidden, "the form is of an earlier start: go back, reload the page and try again")
	case s.config.ReadOnly:
		refuse(w, http.StatusForbidden, "this console is read-only: start it without --read-only to change something")
	default:
		next.ServeHTTP(w, r)
	}
}

func same(got, want string) bool { return subtle.ConstantTimeCompare([]byte(got), []byte(want)) == 1 }

func refuse(w http.ResponseWriter, status int, text string) {
	http.Error(w, "Refused: "+text+".", status)
}

// asset serves style and script, which have no secret and which the page without a session needs.
func asset(w http.ResponseWriter, r *http.Request) {
	name := path.Base(r.URL.Path)
	raw, err := assets.ReadFile("assets/" + name)
	kind, known := map[string]string{".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}[path.Ext(name)]
	if err != nil || !known {
		refuse(w, http.StatusNotFound, "no such file")
		return
	}
	w.Header().Set("Content-Type", kind)
	if r.URL.RawQuery == version(raw) {
		w.Header().Set("Cache-Control", "private, max-age=31536000, immutable")
	}
	w.Write(raw)
}

func version(raw []byte) string {
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:8])
}
