package expr

import (
	_ "embed"
	"strings"
)

//go:embed reserved.txt
var reservedWords string // each between two newlines

// isReserved reports whether name, a word of letters, digits and underscores, must
// be written as a #placeholder: whether it is one of the words that DynamoDB reserves.
func isReserved(name string) bool {
	return strings.Contains(reservedWords, "\n"+strings.ToUpper(name)+"\n")
}
