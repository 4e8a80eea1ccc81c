package gateway

import "strings"

// match is a route that fits a path, with the values of its named segments.
type match struct {
	pattern    string
	parameters map[string]string // nil if the pattern has none
}

// findRoute returns the first pattern that fits a decoded path. A segment like "{name}"
// matches one segment that is not empty.
func findRoute(patterns []string, path string) (match, bool) {
	segments := strings.Split(path, "/")
	for _, pattern := range patterns {
		if m, ok := fit(pattern, segments); ok {
			return m, true
		}
	}
	return match{}, false
}

func fit(pattern string, segments []string) (match, bool) {
	wanted := strings.Split(pattern, "/")
	if len(segments) != len(wanted) {
		return match{}, false
	}
	m := match{pattern: pattern}
	for i, want := range wanted {
		name, named := strings.CutPrefix(want, "{")
		switch {
		case !named && segments[i] != want, named && segments[i] == "":
			return match{}, false
		case named:
			if m.parameters == nil {
				m.parameters = map[string]string{}
			}
			m.parameters[strings.TrimSuffix(name, "}")] = segments[i]
		}
	}
	return m, true
}
