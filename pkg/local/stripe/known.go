package stripe

import (
	_ "embed"
	"net/http"
	"slices"
	"strings"
	"time"
)

// The names that Stripe accepts. stripe-go has them as constants but not in a list.
var (
	//go:embed known/event_types.txt
	knownEventTypes string // what enabled_events may hold, with "*"
	//go:embed known/api_versions.txt
	knownAPIVersions string // those without a release name
)

// isEventType reports whether an endpoint may be enabled for a name.
func isEventType(name string) bool { return isLine(knownEventTypes, name) }

// isAPIVersion reports whether the fake Stripe serves a version, for example 2023-10-16 or
// 2024-09-30.acacia. Objects keep the shape in which they were given, so versions from
// 2025-03-31.basil on, which moved fields of subscriptions and invoices, are refused.
func isAPIVersion(version string) bool {
	date, release, named := strings.Cut(version, ".")
	if !named {
		return isLine(knownAPIVersions, version)
	}
	_, err := time.Parse(time.DateOnly, date)
	return err == nil && release == "acacia" && date >= "2024-09-30"
}

func invalidVersion(param, version string) *apiError {
	return invalid(http.StatusBadRequest, "", param, "Invalid Stripe API version: %.100s. The fake Stripe serves versions before 2025-03-31.basil.", version)
}

func isLine(text, name string) bool {
	return name != "" && slices.Contains(strings.Fields(text), name)
}
