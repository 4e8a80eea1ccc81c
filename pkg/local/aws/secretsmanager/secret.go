package secretsmanager

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"go.etcd.io/bbolt"

	"tollgate/pkg/local/aws/awsjson"
)

const (
	stageCurrent  = "AWSCURRENT"
	stagePrevious = "AWSPREVIOUS"
	maxValueBytes = 65_536
	maxVersions   = 100
	maxStages     = 20
	suffixLength  = 6 // random characters at the end of an ARN
)

// secret is a secret as the file keeps it; times are Unix milliseconds.
type secret struct {
	Name        string
	ARN         string
	Description string
	Tags        []tag
	Created     int64
	Changed     int64
	Versions    []*version // oldest first
}

type tag struct{ Key, Value string }

// version is one value and the staging labels on it.
type version struct {
	ID      string
	Created int64
	Stages  []string
	value
}

// value is a secret's content: a string or bytes, never both.
type value struct {
	SecretString *string `json:",omitempty"`
	SecretBinary []byte  `json:",omitempty"`
}

func (v value) empty() bool { return v.SecretString == nil && v.SecretBinary == nil }

func (v value) equal(o value) bool {
	if (v.SecretString == nil) != (o.SecretString == nil) || !bytes.Equal(v.SecretBinary, o.SecretBinary) {
		return false
	}
	return v.SecretString == nil || *v.SecretString == *o.SecretString
}

func (v value) check() error {
	if v.SecretString != nil && v.SecretBinary != nil {
		return errParameter("You can't specify both a binary secret value and a string secret value in the same secret.")
	}
	size := len(v.SecretBinary)
	if v.SecretString != nil {
		size = len(*v.SecretString)
	}
	if size > maxValueBytes || !v.empty() && size == 0 {
		return errValidation("the secret value must have between 1 and %d bytes, it has %d", maxValueBytes, size)
	}
	return nil
}

// with returns the version that carries the label, nil if none does.
func (s *secret) with(stage string) *version {
	for _, v := range s.Versions {
		if slices.Contains(v.Stages, stage) {
			return v
		}
	}
	return nil
}

func (s *secret) byID(id string) *version {
	for _, v := range s.Versions {
		if v.ID == id {
			return v
		}
	}
	return nil
}

// put adds a version and moves the labels to it. A known token with the same value is a repeated request and changes
// nothing; with another value it is an error.
func (s *secret) put(token string, content value, stages []string, now int64) error {
	if old := s.byID(token); old != nil {
		if old.equal(content) {
			return nil
		}
		return awsjson.Errorf("ResourceExistsException", "You can't use ClientRequestToken %s because that value is already in use for a version of secret %s.", token, s.ARN)
	}
	if s.with(stageCurrent) == nil && !slices.Contains(stages, stageCurrent) {
		stages = append(slices.Clone(stages), stageCurrent)
	}
	v := &version{ID: token, Created: now, value: content}
	s.Versions = append(s.Versions, v)
	for _, stage := range stages {
		s.label(stage, v)
	}
	s.Changed = now
	s.prune()
	return nil
}

// label moves a staging label to a version; the version that loses AWSCURRENT gets AWSPREVIOUS.
func (s *secret) label(stage string, to *version) {
	from := s.with(stage)
	if from == to {
		return
	}
	if from != nil {
		from.Stages = slices.DeleteFunc(from.Stages, func(l string) bool { return l == stage })
		if stage == stageCurrent {
			s.label(stagePrevious, from)
		}
	}
	to.Stages = append(to.Stages, stage)
}

// prune removes the oldest versions without a label above the limit.
func (s *secret) prune() {
	over := len(s.Versions) - maxVersions
	s.Versions = slices.DeleteFunc(s.Versions, func(v *version) bool {
		drop := over > 0 && len(v.Stages) == 0
		if drop {
			over--
		}
		return drop
	})
}

// find reads a secret by name, ARN, or ARN without its random end.
func (db *DB) find(tx *bbolt.Tx, id string) (*secret, error) {
	if id == "" {
		return nil, errValidation("SecretId must have at least 1 character")
	}
	name, isARN := strings.CutPrefix(id, arnPrefix())
	if isARN && len(name) > suffixLength {
		s, err := load(tx, name[:len(name)-suffixLength-1])
		if err != nil || s != nil && s.ARN == id {
			return s, err
		}
	}
	s, err := load(tx, name)
	if err == nil && s == nil {
		err = errNotFound("Secrets Manager can't find the specified secret.")
	}
	return s, err
}

func arnPrefix() string {
	return awsjson.ARN("secretsmanager", "secret:")
}

// load reads a secret by name, nil when there is none.
func load(tx *bbolt.Tx, name string) (*secret, error) {
	record := tx.Bucket([]byte(bucketSecrets)).Get([]byte(name))
	if record == nil {
		return nil, nil
	}
	var s secret
	if json.Unmarshal(record, &s) != nil { // its error could quote the value
		return nil, fmt.Errorf("read secret %s: the record is broken", name)
	}
	return &s, nil
}

func save(tx *bbolt.Tx, s *secret) error {
	record, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("encode secret %s: not possible", s.Name)
	}
	if err := tx.Bucket([]byte(bucketSecrets)).Put([]byte(s.Name), record); err != nil {
		return fmt.Errorf("write secret %s: %w", s.Name, err)
	}
	return nil
}

const codeNotFound = "ResourceNotFoundException"

func errNotFound(text string) error { return awsjson.Errorf(codeNotFound, "%s", text) }

func errParameter(format string, args ...any) error {
	return awsjson.Errorf("InvalidParameterException", format, args...)
}

func errValidation(format string, args ...any) error {
	return awsjson.Errorf("ValidationException", format, args...)
}
