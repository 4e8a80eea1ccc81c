package stripe

import (
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"strings"
)

const maxFormBytes = 1 << 20

// form is a decoded body: url=…, enabled_events[]=…, metadata[key]=…. Its methods remove the
// fields that they return, so that unknown ones are left.
type form url.Values

// readForm reads a request's body as a form. An empty body is an empty form.
func readForm(r *http.Request) (form, *apiError) {
	if err := onlyQuery(r); err != nil {
		return nil, err
	}
	raw, err := readBody(r, maxFormBytes, "A form")
	if err != nil {
		return nil, err
	}
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); len(raw) > 0 && (err != nil || kind != "application/x-www-form-urlencoded") {
		return nil, invalid(http.StatusBadRequest, "", "", "The body must be of the type application/x-www-form-urlencoded.")
	}
	return parseForm(string(raw))
}

func parseForm(raw string) (form, *apiError) {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return nil, invalid(http.StatusBadRequest, "", "", "The body is not a valid form.")
	}
	return form(values), nil
}

// text returns the last value of a name, and whether there is one.
func (f form) text(name string) (value string, given bool) {
	values := f[name]
	delete(f, name)
	if len(values) == 0 {
		return "", false
	}
	return values[len(values)-1], true
}

// list returns name[]=… and name[0]=…, name[1]=…, in order.
func (f form) list(name string) (all []string) {
	key := name + "[]"
	for i := 0; i == 0 || f[key] != nil; i++ {
		all = append(all, f[key]...)
		delete(f, key)
		key = fmt.Sprintf("%s[%d]", name, i)
	}
	return all
}

// pairs returns name[key]=… by key.
func (f form) pairs(name string) map[string]string {
	all := map[string]string{}
	for field := range f {
		key, found := strings.CutPrefix(field, name+"[")
		key, closed := strings.CutSuffix(key, "]")
		if found && closed && key != "" && !strings.ContainsAny(key, "[]") {
			all[key], _ = f.text(field)
		}
	}
	return all
}
