package expr

import (
	_ "embed"
	"slices"
	"strings"
)

//go:embed reserved.txt
var reservedWords string // in order

// isReserved reports whether name, a word of letters, digits and underscores, must
// be written as a #placeholder: whether it is one of the words that DynamoDB reserves.
func isReserved(name string) bool {
	return slices.Contains(strings.Fields(reservedWords), strings.ToUpper(name))
}
