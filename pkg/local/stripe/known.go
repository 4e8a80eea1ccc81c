package stripe

import (
	_ "embed"
	"slices"
	"strings"
	"time"
)

// The names that Stripe takes. stripe-go has them as constants but in no list.
var (
	//go:embed known/event_types.txt
	knownEventTypes string // what enabled_events may hold, with "*"
	//go:embed known/api_versions.txt
	knownAPIVersions string // those without a release name
)

// isEventType reports whether an endpoint may be enabled for a name.
func isEventType(name string) bool { return isLine(knownEventTypes, name) }

// isAPIVersion reports whether Stripe has a version, for example 2023-10-16 or
// 2025-03-31.basil. Of the versions with a release name only the form is checked, as
// each month brings another one.
func isAPIVersion(version string) bool {
	date, release, named := strings.Cut(version, ".")
	if !named {
		return isLine(knownAPIVersions, version)
	}
	_, err := time.Parse(time.DateOnly, date)
	first := map[string]string{"acacia": "2024-09-30", "basil": "2025-03-31", "clover": "2025-09-30", "dahlia": "2026-01-01"}[release]
	return err == nil && first != "" && date >= first
}

func isLine(text, name string) bool {
	return name != "" && slices.Contains(strings.Fields(text), name)
}

// isBasil reports whether a version is 2025-03-31.basil or later, which moved fields of
// subscriptions and invoices.
func isBasil(version string) bool { return len(version) >= 10 && version[:10] >= "2025-03-31" }

// isClover reports whether a version is 2025-09-30.clover or later.
func isClover(version string) bool { return len(version) >= 10 && version[:10] >= "2025-09-30" }
