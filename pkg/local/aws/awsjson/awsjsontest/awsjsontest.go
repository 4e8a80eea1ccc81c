// Package awsjsontest compares a service with its documentation.
package awsjsontest

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"testing"

	"tollgate/pkg/local/aws/awsjson"
)

// Documented fails the test unless the table of operations in doc.go, sorted by name, holds
// exactly those that the service has.
func Documented(t *testing.T, s awsjson.Service) {
	t.Helper()
	text, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	var listed []string
	for _, row := range regexp.MustCompile(`(?m)^//\t([A-Z][A-Za-z]+)  +\S`).FindAllSubmatch(text, -1) {
		listed = append(listed, string(row[1]))
	}
	if has := slices.Sorted(maps.Keys(s.Operations)); !slices.Equal(listed, has) {
		t.Errorf("doc.go lists the operations\n%v\nthe service has\n%v", listed, has)
	}
}
