package bench

import (
	"bytes"
	"fmt"
	"os"
)

// Publish replaces the text between two markers of a document: <!-- marker --> and
// <!-- end of marker -->, each on a line of its own.
func Publish(document, marker, text string) error {
	doc, err := os.ReadFile(document)
	if err != nil {
		return fmt.Errorf("read document: %w", err)
	}
	begin, end := []byte("<!-- "+marker+" -->\n"), []byte("<!-- end of "+marker+" -->")
	head, rest, found := bytes.Cut(doc, begin)
	_, tail, ended := bytes.Cut(rest, end)
	if !found || !ended {
		return fmt.Errorf("%s has no markers of %q", document, marker)
	}
	doc = bytes.Join([][]byte{head, begin, []byte(text), end, tail}, nil)
	if err := os.WriteFile(document, doc, 0o600); err != nil { // which keeps the file's mode
		return fmt.Errorf("write document: %w", err)
	}
	return nil
}
