package gateway

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// route is one path pattern, cut into segments; "{name}" matches any one segment.
type route struct {
	pattern  string
	segments []string
}

// routes are ordered: the pattern with the earlier exact segment comes first.
type routes []route

// match is a route that fits a path, with the values of its named segments.
type match struct {
	pattern    string
	parameters map[string]string // nil if the pattern has none
}

func parseRoutes(patterns []string) (routes, error) {
	if len(patterns) == 0 {
		return nil, errors.New("gateway has no routes")
	}
	var all routes
	for _, p := range patterns {
		r, err := parseRoute(p)
		if err != nil {
			return nil, err
		}
		for _, other := range all {
			if slices.EqualFunc(r.segments, other.segments, sameSegment) {
				return nil, fmt.Errorf("routes %s and %s are the same", other.pattern, p)
			}
		}
		all = append(all, r)
	}
	slices.SortStableFunc(all, func(a, b route) int { return slices.CompareFunc(a.segments, b.segments, exactFirst) })
	return all, nil
}

func parseRoute(pattern string) (route, error) {
	rest, ok := strings.CutPrefix(pattern, "/")
	if !ok || strings.ContainsAny(pattern, "?#% ") {
		return route{}, fmt.Errorf("route %q is no path", pattern)
	}
	r := route{pattern: pattern, segments: strings.Split(rest, "/")}
	names := map[string]bool{}
	for _, s := range r.segments {
		name, named := parameter(s)
		if strings.ContainsAny(name, "{}+") || !named && strings.ContainsAny(s, "{}") || named && name == "" || names[name] {
			return route{}, fmt.Errorf("route %q has a segment that cannot be matched: %q", pattern, s)
		}
		names[name] = named
	}
	return r, nil
}

// parameter returns the name in a segment "{name}".
func parameter(segment string) (string, bool) {
	if len(segment) < 2 || segment[0] != '{' || segment[len(segment)-1] != '}' {
		return "", false
	}
	return segment[1 : len(segment)-1], true
}

func sameSegment(a, b string) bool {
	_, aNamed := parameter(a)
	_, bNamed := parameter(b)
	return aNamed && bNamed || a == b
}

func exactFirst(a, b string) int {
	_, aNamed := parameter(a)
	_, bNamed := parameter(b)
	switch {
	case aNamed == bNamed:
		return 0
	case aNamed:
		return 1
	default:
		return -1
	}
}

// match finds the route of a decoded path.
func (rs routes) match(path string) (match, bool) {
	rest, ok := strings.CutPrefix(path, "/")
	if !ok {
		return match{}, false
	}
	segments := strings.Split(rest, "/")
	for _, r := range rs {
		if m, ok := r.match(segments); ok {
			return m, true
		}
	}
	return match{}, false
}

func (r route) match(segments []string) (match, bool) {
	if len(segments) != len(r.segments) {
		return match{}, false
	}
	m := match{pattern: r.pattern}
	for i, want := range r.segments {
		name, named := parameter(want)
		switch {
		case !named && segments[i] != want, named && segments[i] == "":
			return match{}, false
		case named && m.parameters == nil:
			m.parameters = map[string]string{name: segments[i]}
		case named:
			m.parameters[name] = segments[i]
		}
	}
	return m, true
}
