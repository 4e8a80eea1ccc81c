package apigw

import (
	"maps"
	"slices"
	"strings"

	"tollgate/pkg/event"
	"tollgate/pkg/ingest"
	"tollgate/pkg/limits"
)

// header returns the values of a header joined by commas, "" if there are none. The name
// matches in any case: REST APIs keep the sender's case, HTTP APIs use lower case. Values
// under several cases are joined in byte order of the names.
func (e *gatewayEvent) header(name string) string {
	var values []string
	if e.version != "2.0" {
		for _, key := range slices.Sorted(maps.Keys(e.multiValueHeaders)) {
			if strings.EqualFold(key, name) {
				values = append(values, e.multiValueHeaders[key]...)
			}
		}
	}
	if values == nil {
		for _, h := range e.headers {
			if strings.EqualFold(h[0], name) {
				values = append(values, h[1])
			}
		}
		slices.Sort(values)
	}
	return strings.Join(values, ",")
}

// endpoint returns the endpoint's name, "" for an unknown path. It is in the path, behind
// the stage if the gateway keeps it there. Under a custom domain's mapping it is only in
// the matched route.
func (e *gatewayEvent) endpoint() string {
	path, route := e.path, e.resource
	if e.version == "2.0" {
		path = e.rawPath
		_, route, _ = strings.Cut(e.routeKey, " ")
	}
	if name, ok := endpointIn(path); ok {
		return name
	}
	if rest, ok := strings.CutPrefix(path, "/"+e.stage+"/"); ok && e.stage != "" {
		if name, ok := endpointIn("/" + rest); ok {
			return name
		}
	}
	switch route {
	case limits.WebhookPath:
		return ingest.DefaultEndpoint
	case limits.WebhookPath + "/{endpoint}":
		if name := e.pathParameters["endpoint"]; event.ValidEndpoint(name) {
			return name
		}
	}
	return ""
}

// endpointIn returns the endpoint in a path, "" for an invalid name, and whether the path
// is one of ours.
func endpointIn(path string) (name string, ok bool) {
	if path == limits.WebhookPath {
		return ingest.DefaultEndpoint, true
	}
	name, ok = strings.CutPrefix(path, limits.WebhookPath+"/")
	if ok && !event.ValidEndpoint(name) {
		name = ""
	}
	return name, ok
}

// cleanTrace returns a trace header's root, parent and sampling decision, or "". Anyone can
// send the header, and SQS rejects a message with an invalid one: the result is rebuilt
// from valid parts.
func cleanTrace(header string) string {
	found := make(map[string]string, 3)
	for part := range strings.SplitSeq(header, ";") {
		key, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		found[key] = value
	}
	if !isTraceRoot(found["Root"]) {
		return ""
	}
	clean := "Root=" + found["Root"]
	if isHex(found["Parent"], 16) {
		clean += ";Parent=" + found["Parent"]
	}
	if s := found["Sampled"]; s == "0" || s == "1" {
		clean += ";Sampled=" + s
	}
	return clean
}

// isTraceRoot reports whether s has the form 1-<8 hex digits>-<24 hex digits>.
func isTraceRoot(s string) bool {
	parts := strings.Split(s, "-")
	return len(parts) == 3 && parts[0] == "1" && isHex(parts[1], 8) && isHex(parts[2], 24)
}

// isHex reports whether s is n hexadecimal digits in lower case.
func isHex(s string, n int) bool {
	return len(s) == n && strings.Trim(s, "0123456789abcdef") == ""
}
