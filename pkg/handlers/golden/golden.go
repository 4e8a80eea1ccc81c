// Package golden holds the golden Stripe events, one JSON file per event type, as Stripe
// sends them at API version 2023-10-16. Tests run every handler on the event of its type,
// and tollgate send delivers them.
package golden

import (
	"embed"
	"fmt"
	"slices"
	"strings"
)

//go:embed *.json
var files embed.FS

// Types returns the event types that have a golden event, sorted.
func Types() []string {
	entries, _ := files.ReadDir(".") // an embedded folder that exists cannot fail
	var types []string
	for _, e := range entries {
		types = append(types, strings.TrimSuffix(e.Name(), ".json"))
	}
	slices.Sort(types)
	return types
}

// Load returns the golden event of a type. Its error lists the types that have one.
func Load(eventType string) ([]byte, error) {
	body, err := files.ReadFile(eventType + ".json")
	if err != nil {
		return nil, fmt.Errorf("no golden event of type %q; there are: %s", eventType, strings.Join(Types(), ", "))
	}
	return body, nil
}
