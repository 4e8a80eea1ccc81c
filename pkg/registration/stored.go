package registration

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
)

// maxStored is how large a value of Secrets Manager may be.
const maxStored = 65_536

// errStored: the stored value has another form. It is not overwritten.
var errStored = errors.New(`the stored webhook secret is not JSON of the form {"default":["whsec_…"]}`)

// Stored is the parsed webhook secret. Entries of another form stay unchanged.
type Stored struct{ byName map[string]json.RawMessage }

// ReadStored parses a stored value; "" has no entry.
func ReadStored(value Secret) (Stored, error) {
	s := Stored{byName: map[string]json.RawMessage{}}
	if len(bytes.TrimSpace([]byte(value.Reveal()))) == 0 {
		return s, nil
	}
	// The decoder's error would quote the value.
	if err := json.Unmarshal([]byte(value.Reveal()), &s.byName); err != nil || s.byName == nil {
		return s, errStored
	}
	return s, nil
}

// Endpoints returns the names with an entry, sorted.
func (s Stored) Endpoints() []string { return slices.Sorted(maps.Keys(s.byName)) }

// Of returns an endpoint's secrets in the order in which they are tried. Entries that ingest drops, as they cannot be a signing secret, are not
// among them.
func (s Stored) Of(name string) (list []Secret, err error) {
	raw, err := s.list(name)
	for _, r := range raw {
		if e := entryOf(r); e.Fault == "" {
			list = append(list, NewSecret(e.Text))
		}
	}
	return list, err
}

func (s Stored) list(name string) ([]json.RawMessage, error) {
	raw, there := s.byName[name]
	if !there {
		return nil, nil
	}
	return listOf(raw)
}

// listOf accepts a single text as a list of one, as the console's key/value editor writes it.
func listOf(raw json.RawMessage) (list []json.RawMessage, err error) {
	var text string
	if string(raw) != "null" && json.Unmarshal(raw, &text) == nil {
		return []json.RawMessage{raw}, nil
	}
	if json.Unmarshal(raw, &list) != nil {
		return nil, errStored
	}
	return list, nil
}

// Entry is one stored signing secret.
type Entry struct {
	Text  string // without white space at its ends
	Fault string // why it cannot be used, "" if it can
}

// ReadEntries reads what is stored for one endpoint, a list of texts or one text. An error
// quotes nothing of it.
func ReadEntries(raw json.RawMessage) ([]Entry, error) {
	list, err := listOf(raw)
	entries := make([]Entry, len(list))
	for i, r := range list {
		entries[i] = entryOf(r)
	}
	return entries, err
}

func entryOf(raw json.RawMessage) Entry {
	var text *string
	if json.Unmarshal(raw, &text) != nil || text == nil {
		return Entry{Fault: "it is not a string"}
	}
	trimmed := strings.TrimSpace(*text)
	return Entry{Text: trimmed, Fault: FaultOf(trimmed)}
}

// prefix starts every signing secret that Stripe hands out.
const prefix = "whsec_"

// FaultOf returns why a signing secret cannot be used, "" if it can. An empty secret would
// verify every signature made with one. White space and invisible characters come from copying
// or from a key pressed at a prompt without echo; such a secret verifies nothing.
func FaultOf(secret string) string {
	switch {
	case secret == "":
		return "it is empty"
	case strings.ContainsFunc(secret, unicode.IsSpace):
		return "it has white space"
	case strings.ContainsFunc(secret, func(r rune) bool { return !unicode.IsPrint(r) }):
		return "it has invisible characters"
	case !strings.HasPrefix(secret, prefix) || secret == prefix:
		return "it does not start with " + prefix
	}
	return ""
}

// Edit returns the new stored value for an old one. It is idempotent.
type Edit func(Stored) (Secret, error)

// PutFirst puts a secret in front of an endpoint's others.
func PutFirst(name string, secret Secret) Edit {
	return func(s Stored) (Secret, error) {
		first, err := json.Marshal(secret.Reveal())
		if err != nil {
			return Secret{}, errStored
		}
		return s.edited(name, func(list []json.RawMessage) []json.RawMessage {
			return append([]json.RawMessage{first}, dropped(list, []Secret{secret})...)
		})
	}
}

// Drop removes secrets of an endpoint, by their text. It never removes the last one.
func Drop(name string, old []Secret) Edit {
	return func(s Stored) (Secret, error) {
		return s.edited(name, func(list []json.RawMessage) []json.RawMessage {
			if left := dropped(list, old); len(left) > 0 {
				return left
			}
			return list
		})
	}
}

func dropped(list []json.RawMessage, old []Secret) []json.RawMessage {
	return slices.DeleteFunc(slices.Clone(list), func(raw json.RawMessage) bool {
		return slices.ContainsFunc(old, func(o Secret) bool { return o.Reveal() == entryOf(raw).Text })
	})
}

// edited renders the value with one endpoint's list changed.
func (s Stored) edited(name string, change func([]json.RawMessage) []json.RawMessage) (Secret, error) {
	list, err := s.list(name)
	if err != nil {
		return Secret{}, err
	}
	all := maps.Clone(s.byName)
	if all[name], err = json.Marshal(change(list)); err != nil {
		return Secret{}, errStored
	}
	return Stored{byName: all}.render()
}

// render returns the stored form: names sorted, no white space.
func (s Stored) render() (Secret, error) {
	text, err := json.Marshal(s.byName)
	if err != nil {
		return Secret{}, errStored
	}
	if len(text) > maxStored {
		return Secret{}, fmt.Errorf("the webhook secret would have %d bytes, more than %d", len(text), maxStored)
	}
	return NewSecret(string(text)), nil
}
