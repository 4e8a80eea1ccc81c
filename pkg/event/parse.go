package event

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"tollgate/pkg/members"
)

// ErrNotEvent means that bytes are not a Stripe event, whoever signed them.
var ErrNotEvent = errors.New("not a Stripe event")

// Limits of what becomes a table key or a log attribute.
const (
	// MaxNameBytes limits an event's id, type, account and API version. Stripe generates
	// them in visible ASCII; its ids have at most 255 characters.
	MaxNameBytes = 255
	// MaxObjectIDBytes limits an object's id. Users choose those of coupons, plans and
	// products: up to 255 characters of any script.
	MaxObjectIDBytes = 4 * 255
)

// Members of an event, by their place in header.
const (
	memberID = iota
	memberObject
	memberType
	memberAccount
	memberContext
	memberLivemode
	memberAPIVersion
	memberCreated
	memberData
	memberRelated
)

// Members of data, by their place in dataOf.
const (
	memberDataObject = iota
	memberPrevious
)

func header() []members.Member {
	return []members.Member{
		memberID:         {Name: "id"},
		memberObject:     {Name: "object"},
		memberType:       {Name: "type"},
		memberAccount:    {Name: "account"},
		memberContext:    {Name: "context"},
		memberLivemode:   {Name: "livemode"},
		memberAPIVersion: {Name: "api_version"},
		memberCreated:    {Name: "created"},
		memberData:       {Name: "data", In: dataOf(identity())},
		memberRelated:    {Name: "related_object", In: identity()},
	}
}

func dataOf(object []members.Member) []members.Member {
	return []members.Member{memberDataObject: {Name: "object", In: object}, memberPrevious: {Name: "previous_attributes"}}
}

// identity has the first two members of an event.
func identity() []members.Member {
	return []members.Member{memberID: {Name: "id"}, memberObject: {Name: "object"}}
}

// Parse parses the header fields of an event from a delivery or from Stripe's API. Keys match
// exactly. Trailing bytes are an error, and so is a key that encoding/json would match with
// one read here (a duplicate, or in another case), at the top, in data, in data.object (id,
// object) and in related_object: a handler decodes the event that the header names. null
// counts as absent. The caller sets Body, Endpoint, Source and ReceivedAt. Every error wraps
// [ErrNotEvent], is one line and quotes no data.
func Parse(body []byte) (Envelope, error) {
	top := header()
	if err := members.Find(body, top); err != nil {
		return Envelope{}, notEvent(err)
	}
	var e Envelope
	err := cmp.Or(
		text(&top[memberObject], &e.Object, required),
		text(&top[memberID], &e.ID, required),
		text(&top[memberType], &e.Type, required),
		text(&top[memberAPIVersion], &e.APIVersion, optional),
		flag(&top[memberLivemode], &e.Livemode),
	)
	if err != nil {
		return Envelope{}, notEvent(err)
	}
	switch e.Object {
	case ObjectSnapshot:
		err = e.readSnapshot(top)
	case ObjectThin:
		err = e.readThin(top)
	default:
		err = errors.New("object is not a kind of event")
	}
	if err != nil {
		return Envelope{}, notEvent(err)
	}
	return e, nil
}

// Data returns the raw data.object and data.previous_attributes of a snapshot event; previous
// is nil if absent. Keys match as in [Parse]; both alias body.
func Data(body []byte) (snapshot, previous json.RawMessage, err error) {
	top := []members.Member{{Name: "data", In: dataOf(nil)}}
	if err := members.Find(body, top); err != nil {
		return nil, nil, notEvent(err)
	}
	data := top[0]
	if err := data.Err(); err != nil {
		return nil, nil, notEvent(fmt.Errorf("data: %w", err))
	}
	return data.In[memberDataObject].Raw, data.In[memberPrevious].Raw, nil
}

// Object is the identity of one Stripe object.
type Object struct {
	ID      string // "" without one
	Kind    string // its member "object", such as "invoice"; "" without one
	Deleted bool
}

// ReadObject parses a Stripe object, of an event or fetched, by the rules of [Parse].
func ReadObject(raw json.RawMessage) (o Object, err error) {
	fields := append(identity(), members.Member{Name: "deleted"})
	if err := members.Find(raw, fields); err != nil {
		return Object{}, err
	}
	o.ID, err = objectID(&fields[memberID])
	if err = cmp.Or(err, text(&fields[memberObject], &o.Kind, optional), flag(&fields[2], &o.Deleted)); err != nil {
		return Object{}, err
	}
	return o, nil
}

func notEvent(err error) error { return fmt.Errorf("%w: %w", ErrNotEvent, err) }

func (e *Envelope) readSnapshot(top []members.Member) error {
	var context string
	err := cmp.Or(
		text(&top[memberAccount], &e.Account, optional),
		text(&top[memberContext], &context, optional),
	)
	if err != nil {
		return err
	}
	if e.Account == "" && context != "" { // an event of an organisation
		e.Account, e.AccountFrom = ContextAccount(context), FromContext
	}
	if at := top[memberCreated]; !at.Absent() {
		n, err := strconv.ParseInt(string(at.Raw), 10, 64)
		if err != nil {
			return errors.New("created is not a whole number of seconds")
		}
		e.Created = n
	}
	data := top[memberData]
	if err := data.Err(); err != nil {
		return fmt.Errorf("data: %w", err)
	}
	return e.readObjectID(&data.In[memberDataObject], "data.object")
}

func (e *Envelope) readThin(top []members.Member) error {
	err := cmp.Or(
		text(&top[memberContext], &e.Account, optional),
		text(&top[memberCreated], &e.CreatedRaw, optional),
	)
	if err != nil {
		return err
	}
	if e.CreatedRaw != "" {
		at, err := time.Parse(time.RFC3339Nano, e.CreatedRaw)
		if err != nil {
			return errors.New("created is not an RFC 3339 time")
		}
		e.Created = at.Unix()
	}
	return e.readObjectID(&top[memberRelated], "related_object")
}

func (e *Envelope) readObjectID(object *members.Member, where string) error {
	if object.Absent() {
		return nil
	}
	err := object.Err()
	if err == nil {
		e.ObjectID, err = objectID(&object.In[memberID])
	}
	if err != nil {
		return fmt.Errorf("%s: %w", where, err)
	}
	return nil
}

func objectID(m *members.Member) (string, error) {
	id, err := m.Text()
	if err != nil {
		return "", err
	}
	if len(id) > MaxObjectIDBytes {
		return "", fmt.Errorf("id is longer than %d bytes", MaxObjectIDBytes)
	}
	if strings.ContainsRune(id, utf8.RuneError) && !isUnicode(m.Raw) {
		return "", errors.New("id is not Unicode text")
	}
	return id, nil
}

type presence bool

const (
	required presence = true
	optional presence = false
)

// text reads a string of at most MaxNameBytes visible ASCII characters.
func text(m *members.Member, to *string, p presence) error {
	s, err := m.Text()
	if err != nil {
		return err
	}
	if s == "" && p == required {
		return fmt.Errorf("%s is missing or empty", m.Name)
	}
	if len(s) > MaxNameBytes {
		return fmt.Errorf("%s is longer than %d bytes", m.Name, MaxNameBytes)
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return fmt.Errorf("%s has characters other than visible ASCII", m.Name)
		}
	}
	*to = s
	return nil
}

func flag(m *members.Member, to *bool) (err error) {
	*to, err = m.Flag()
	return err
}

// isUnicode reports whether a quoted JSON string is valid text. Decoders replace invalid
// UTF-8 and half a surrogate pair by U+FFFD, which could make two ids equal.
func isUnicode(quoted []byte) bool {
	if !utf8.Valid(quoted) {
		return false
	}
	for i := 0; i < len(quoted); i++ {
		if quoted[i] != '\\' {
			continue
		}
		i++ // the escaped character, also a backslash
		if unit := escaped(quoted[i:]); utf16.IsSurrogate(unit) {
			i += len("uXXXX")
			if quoted[i] != '\\' || utf16.DecodeRune(unit, escaped(quoted[i+1:])) == utf8.RuneError {
				return false
			}
			i += len("uXXXX")
		}
	}
	return true
}

// escaped returns the UTF-16 unit of the uXXXX that b begins with, 0 for another escape.
func escaped(b []byte) rune {
	if len(b) < len("uXXXX") || b[0] != 'u' {
		return 0
	}
	unit, _ := strconv.ParseUint(string(b[1:5]), 16, 16) // four hex digits: it is valid JSON
	return rune(unit)
}
