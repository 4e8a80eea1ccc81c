package apigw

import (
	"maps"
	"slices"
	"strings"

	"tollgate/pkg/event"
	"tollgate/pkg/ingest"
	"tollgate/pkg/limits"
)

// header returns the values of a header joined by commas, "" when there is none. The
// name matches in any case: REST APIs keep the sender's, HTTP APIs use small letters.
// Names in several cases are joined in the order of their bytes.
func (e *gatewayEvent) header(name string) string {
	var values []string
	if e.Version != "2.0" {
		for _, key := range slices.Sorted(maps.Keys(e.MultiValueHeaders)) {
			if strings.EqualFold(key, name) {
				values = append(values, e.MultiValueHeaders[key]...)
			}
		}
	}
	if values == nil {
		for key, value := range e.Headers {
			if strings.EqualFold(key, name) {
				values = append(values, value)
			}
		}
		slices.Sort(values)
	}
	return strings.Join(values, ",")
}

// endpoint returns the endpoint's name, "" when the request is for no path of ours.
// The path tells it, with the stage in front where the gateway leaves it there. Under
// a custom domain's mapping only the matched route does.
func (e *gatewayEvent) endpoint() string {
	path, route := e.Path, e.Resource
	if e.Version == "2.0" {
		path = e.RawPath
		_, route, _ = strings.Cut(e.RouteKey, " ")
	}
	if name, ok := endpointIn(path); ok {
		return name
	}
	if rest, ok := strings.CutPrefix(path, "/"+e.RequestContext.Stage+"/"); ok && e.RequestContext.Stage != "" {
		if name, ok := endpointIn("/" + rest); ok {
			return name
		}
	}
	switch route {
	case limits.WebhookPath:
		return ingest.DefaultEndpoint
	case limits.WebhookPath + "/{endpoint}":
		if name := e.PathParameters["endpoint"]; event.ValidEndpoint(name) {
			return name
		}
	}
	return ""
}

// endpointIn returns the endpoint that a path names, and whether the path is one of
// ours. A name that cannot be an endpoint's is returned as "".
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

// cleanTrace returns a trace header's root, parent and sampling decision, or "". The
// header can be a stranger's, and SQS refuses a message whose trace it cannot read:
// what is passed on is rebuilt from parts that are known to be well formed.
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

// isHex reports whether s is n hexadecimal digits in small letters.
func isHex(s string, n int) bool {
	return len(s) == n && strings.Trim(s, "0123456789abcdef") == ""
}
