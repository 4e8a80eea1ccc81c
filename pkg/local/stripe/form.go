package stripe

import (
	"cmp"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Bounds of a form.
const (
	maxFormBytes  = 1 << 20
	maxFormFields = 1000
)

// form is a decoded body: url=…, enabled_events[]=…, metadata[key]=….
type form struct {
	single map[string]string
	lists  map[string][]string
	maps   map[string]map[string]string
}

// readForm reads a request's body as a form. An empty body is an empty form.
func readForm(r *http.Request) (form, *apiError) {
	for name := range r.URL.Query() {
		return form{}, unknown(name)
	}
	raw, err := io.ReadAll(io.LimitReader(r.Body, maxFormBytes+1))
	switch {
	case err != nil:
		return form{}, invalid(http.StatusBadRequest, "", "", "The body could not be read to its end.")
	case len(raw) > maxFormBytes:
		return form{}, invalid(http.StatusRequestEntityTooLarge, "", "", "A form may have %d bytes.", maxFormBytes)
	}
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); len(raw) > 0 && (err != nil || kind != "application/x-www-form-urlencoded") {
		return form{}, invalid(http.StatusBadRequest, "", "", "The body must be of the type application/x-www-form-urlencoded.")
	}
	return parseForm(string(raw))
}

func parseForm(raw string) (form, *apiError) {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return form{}, invalid(http.StatusBadRequest, "", "", "The body is not a valid form.")
	}
	if len(values) > maxFormFields {
		return form{}, invalid(http.StatusBadRequest, "", "", "A form may have %d fields.", maxFormFields)
	}
	f := form{single: map[string]string{}, lists: map[string][]string{}, maps: map[string]map[string]string{}}
	// In order of name and index, so that the same form is always read in the same way.
	for _, key := range slices.SortedFunc(keys(values), byIndex) {
		if err := f.add(key, values[key]); err != nil {
			return form{}, err
		}
	}
	return f, f.consistent()
}

func keys(values url.Values) func(func(string) bool) {
	return func(yield func(string) bool) {
		for key := range values {
			if !yield(key) {
				return
			}
		}
	}
}

// add adds one field with all values of its name.
func (f *form) add(key string, values []string) *apiError {
	name, inner, nested := strings.Cut(key, "[")
	inner, closed := strings.CutSuffix(inner, "]")
	switch {
	case name == "", nested && (!closed || strings.ContainsAny(inner, "[]")):
		return unknown(key)
	case !nested:
		f.single[name] = values[len(values)-1]
	case strings.Trim(inner, "0123456789") == "":
		f.lists[name] = append(f.lists[name], values...)
	default:
		if f.maps[name] == nil {
			f.maps[name] = map[string]string{}
		}
		f.maps[name][inner] = values[len(values)-1]
	}
	return nil
}

// consistent rejects a name that is used in two ways, such as a=1&a[]=2.
func (f *form) consistent() *apiError {
	for _, name := range f.names() {
		used := 0
		for _, has := range []bool{has(f.single, name), has(f.lists, name), has(f.maps, name)} {
			if has {
				used++
			}
		}
		if used > 1 {
			return invalid(http.StatusBadRequest, "", name, "The parameter %.100s is given in two forms.", name)
		}
	}
	return nil
}

func has[V any](m map[string]V, name string) bool {
	_, ok := m[name]
	return ok
}

// names returns the names of all fields, each once, in order.
func (f *form) names() (names []string) {
	for name := range f.single {
		names = append(names, name)
	}
	for name := range f.lists {
		names = append(names, name)
	}
	for name := range f.maps {
		names = append(names, name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// byIndex orders a[2] before a[10].
func byIndex(a, b string) int {
	nameA, indexA := cutIndex(a)
	nameB, indexB := cutIndex(b)
	return cmp.Or(cmp.Compare(nameA, nameB), cmp.Compare(indexA, indexB), cmp.Compare(a, b))
}

func cutIndex(key string) (name string, index int) {
	name, inner, _ := strings.Cut(key, "[")
	inner, _ = strings.CutSuffix(inner, "]")
	index, err := strconv.Atoi(inner)
	if err != nil {
		return name, -1
	}
	return name, index
}

// boolean reads a field that is true or false; given reports whether it is there.
func (f *form) boolean(name string) (value, given bool, err *apiError) {
	switch text, given := f.single[name]; text {
	case "true":
		return true, true, nil
	case "false":
		return false, true, nil
	default:
		if given {
			return false, true, invalid(http.StatusBadRequest, "parameter_invalid_boolean", name, "Invalid boolean: %.100s", text)
		}
		return false, false, nil
	}
}
