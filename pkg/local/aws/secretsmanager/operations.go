package secretsmanager

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"go.etcd.io/bbolt"

	"tollgate/pkg/local/aws/awsjson"
)

// answer is the answer of every change.
type answer struct {
	ARN           string
	Name          string
	VersionId     string   `json:",omitempty"`
	VersionStages []string `json:",omitempty"`
}

type createInput struct {
	Name               string
	Description        string
	ClientRequestToken string
	Tags               []tag
	value
}

func (db *DB) createSecret(in createInput) (answer, error) {
	if err := checkName(in.Name); err != nil {
		return answer{}, err
	}
	token, err := checkValue(in.ClientRequestToken, in.value)
	if err != nil {
		return answer{}, err
	}
	var out answer
	err = db.bolt.Update(func(tx *bbolt.Tx) error {
		now := db.opts.Now().UnixMilli()
		s, err := load(tx, in.Name)
		if err != nil {
			return err
		}
		if s != nil {
			repeated := s.byID(token)
			if repeated == nil || !repeated.equal(in.value) {
				return awsjson.Errorf("ResourceExistsException", "The operation failed because the secret %s already exists.", in.Name)
			}
			out = answer{ARN: s.ARN, Name: s.Name, VersionId: token}
			return nil
		}
		s = &secret{Name: in.Name, Description: in.Description, Tags: in.Tags, Created: now, Changed: now,
			ARN: arnPrefix() + in.Name + "-" + randomSuffix()}
		out = answer{ARN: s.ARN, Name: s.Name}
		if !in.value.empty() {
			out.VersionId = token
			if err := s.put(token, in.value, []string{stageCurrent}, now); err != nil {
				return err
			}
		}
		return save(tx, s)
	})
	return out, err
}

// checkName allows what AWS allows: letters, digits and /_+=.@- up to 512.
func checkName(name string) error {
	bad := func(r rune) bool {
		return !(r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || strings.ContainsRune("/_+=.@-", r))
	}
	if name == "" || len(name) > 512 || strings.ContainsFunc(name, bad) {
		return errValidation("Invalid name. Must be a valid name containing alphanumeric characters, or any of the following: -/_+=.@ (1 to 512)")
	}
	return nil
}

// checkValue returns the token, or a new one if the caller gave none.
func checkValue(token string, v value) (string, error) {
	if token == "" {
		token = rand.Text() + rand.Text()
	}
	if len(token) < 32 || len(token) > 64 {
		return "", errValidation("ClientRequestToken must have between 32 and 64 characters")
	}
	return token, v.check()
}

func randomSuffix() string {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	var b [suffixLength]byte
	rand.Read(b[:])
	for i := range b {
		b[i] = letters[int(b[i])%len(letters)] // the slight bias does not matter: this is not a secret
	}
	return string(b[:])
}

type putInput struct {
	SecretId           string
	ClientRequestToken string
	VersionStages      []string
	value
}

func (db *DB) putSecretValue(in putInput) (answer, error) {
	token, err := checkValue(in.ClientRequestToken, in.value)
	if err != nil {
		return answer{}, err
	}
	if in.value.empty() {
		return answer{}, errParameter("You must provide either SecretString or SecretBinary.")
	}
	stages := in.VersionStages
	if stages == nil {
		stages = []string{stageCurrent}
	}
	outside := func(l string) bool { return l == "" || len(l) > 256 }
	if len(stages) < 1 || len(stages) > maxStages || slices.ContainsFunc(stages, outside) {
		return answer{}, errValidation("VersionStages must hold 1 to %d labels of 1 to 256 characters", maxStages)
	}
	var out answer
	err = db.change(in.SecretId, func(s *secret, now int64) error {
		if err := s.put(token, in.value, stages, now); err != nil {
			return err
		}
		out = answer{ARN: s.ARN, Name: s.Name, VersionId: token, VersionStages: s.byID(token).Stages}
		return nil
	})
	return out, err
}

// change runs a function over one secret and saves it.
func (db *DB) change(id string, run func(s *secret, now int64) error) error {
	return db.bolt.Update(func(tx *bbolt.Tx) error {
		s, err := db.find(tx, id)
		if err != nil {
			return err
		}
		if err := run(s, db.opts.Now().UnixMilli()); err != nil {
			return err
		}
		return save(tx, s)
	})
}

type stageInput struct{ SecretId, VersionStage, MoveToVersionId, RemoveFromVersionId string }

// updateSecretVersionStage moves a label, if it is on RemoveFromVersionId, or for "" on no version.
func (db *DB) updateSecretVersionStage(in stageInput) (answer, error) {
	if in.VersionStage == "" || in.MoveToVersionId == "" {
		return answer{}, errParameter("This embedded service needs VersionStage and MoveToVersionId.")
	}
	var out answer
	err := db.change(in.SecretId, func(s *secret, now int64) error {
		to := s.byID(in.MoveToVersionId)
		if to == nil {
			return errNotFound("Secrets Manager can't find the specified secret version " + in.MoveToVersionId)
		}
		out = answer{ARN: s.ARN, Name: s.Name}
		switch from := s.with(in.VersionStage); {
		case from == nil && in.RemoveFromVersionId != "":
			return errParameter("Staging label %s is not attached to version %s.", in.VersionStage, in.RemoveFromVersionId)
		case from != nil && from != to && in.RemoveFromVersionId == "":
			return errParameter("The parameter RemoveFromVersionId can't be empty. Staging label %s is currently attached to version %s, so you must explicitly reference that version in RemoveFromVersionId.", in.VersionStage, from.ID)
		case from != nil && in.RemoveFromVersionId != "" && from.ID != in.RemoveFromVersionId:
			return errParameter("Staging label %s is currently attached to version %s, not to %s.", in.VersionStage, from.ID, in.RemoveFromVersionId)
		}
		s.label(in.VersionStage, to)
		s.Changed = now
		return nil
	})
	return out, err
}

type getInput struct{ SecretId, VersionId, VersionStage string }

type getOutput struct {
	ARN           string
	Name          string
	VersionId     string
	VersionStages []string
	CreatedDate   float64
	value
}

func (db *DB) getSecretValue(in getInput) (getOutput, error) {
	var out getOutput
	err := db.bolt.View(func(tx *bbolt.Tx) error {
		s, err := db.find(tx, in.SecretId)
		if err != nil {
			return err
		}
		v, err := s.choose(in.VersionId, in.VersionStage)
		if err != nil {
			return err
		}
		out = getOutput{ARN: s.ARN, Name: s.Name, VersionId: v.ID, VersionStages: v.Stages,
			CreatedDate: seconds(v.Created), value: v.value}
		return nil
	})
	return out, err
}

// choose picks a version by id, by label, or by both if they mean the same one.
func (s *secret) choose(id, stage string) (*version, error) {
	if id == "" && stage == "" {
		stage = stageCurrent
	}
	if id == "" {
		if v := s.with(stage); v != nil {
			return v, nil
		}
		return nil, errNotFound("Secrets Manager can't find the specified secret value for staging label: " + stage)
	}
	v := s.byID(id)
	if v == nil || stage != "" && s.with(stage) != v {
		return nil, errNotFound("Secrets Manager can't find the specified secret value for VersionId: " + id)
	}
	return v, nil
}

// seconds is a time as the protocol writes it.
func seconds(milliseconds int64) float64 { return float64(milliseconds) / 1000 }

type idInput struct{ SecretId string }

type description struct {
	ARN                string
	Name               string
	Description        string              `json:",omitempty"`
	CreatedDate        float64             `json:",omitempty"`
	LastChangedDate    float64             `json:",omitempty"`
	Tags               []tag               `json:",omitempty"`
	VersionIdsToStages map[string][]string `json:",omitempty"`
}

// describe lists the versions with labels; the others are deprecated.
func (s *secret) describe() description {
	d := description{ARN: s.ARN, Name: s.Name, Description: s.Description, Tags: s.Tags,
		CreatedDate: seconds(s.Created), LastChangedDate: seconds(s.Changed), VersionIdsToStages: make(map[string][]string)}
	for _, v := range s.Versions {
		if len(v.Stages) > 0 {
			d.VersionIdsToStages[v.ID] = v.Stages
		}
	}
	return d
}

func (db *DB) describeSecret(in idInput) (description, error) {
	var out description
	err := db.bolt.View(func(tx *bbolt.Tx) error {
		s, err := db.find(tx, in.SecretId)
		if err == nil {
			out = s.describe()
		}
		return err
	})
	return out, err
}

type listInput struct {
	MaxResults *int
	NextToken  string
}

// listEntry is a description under the names that lists use.
type listEntry struct {
	description
	SecretVersionsToStages map[string][]string `json:",omitempty"`
}

type listOutput struct {
	SecretList []listEntry
	NextToken  string `json:",omitempty"`
}

// listSecrets lists by name, 100 at most.
func (db *DB) listSecrets(in listInput) (listOutput, error) {
	size := 100
	if in.MaxResults != nil {
		size = *in.MaxResults
	}
	after, err := base64.URLEncoding.Strict().DecodeString(in.NextToken)
	if size < 1 || size > 100 || err != nil {
		return listOutput{}, errParameter("MaxResults must be between 1 and 100, NextToken what a list before answered.")
	}
	out := listOutput{SecretList: []listEntry{}}
	err = db.bolt.View(func(tx *bbolt.Tx) error {
		c := tx.Bucket([]byte(bucketSecrets)).Cursor()
		name, record := c.Seek(append(after, 0)) // the first name after the token's
		for ; name != nil; name, record = c.Next() {
			if len(out.SecretList) == size {
				out.NextToken = base64.URLEncoding.EncodeToString([]byte(out.SecretList[size-1].Name))
				return nil
			}
			var s secret
			if json.Unmarshal(record, &s) != nil {
				return errValidation("secret %s: the record is broken", name)
			}
			d := s.describe()
			entry := listEntry{description: d, SecretVersionsToStages: d.VersionIdsToStages}
			entry.VersionIdsToStages = nil
			out.SecretList = append(out.SecretList, entry)
		}
		return nil
	})
	return out, err
}

type deleteInput struct {
	SecretId                   string
	ForceDeleteWithoutRecovery bool
	RecoveryWindowInDays       *int
}

type deleteOutput struct {
	ARN          string
	Name         string
	DeletionDate float64
}

func (db *DB) deleteSecret(in deleteInput) (deleteOutput, error) {
	if !in.ForceDeleteWithoutRecovery || in.RecoveryWindowInDays != nil {
		return deleteOutput{}, errParameter("This embedded service deletes only with ForceDeleteWithoutRecovery and no RecoveryWindowInDays.")
	}
	var out deleteOutput
	err := db.bolt.Update(func(tx *bbolt.Tx) error {
		s, err := db.find(tx, in.SecretId)
		if e, ok := errors.AsType[*awsjson.Error](err); ok && e.Code == codeNotFound {
			out = deleteOutput{Name: in.SecretId, DeletionDate: seconds(db.opts.Now().UnixMilli())}
			return nil // as documented: forced deletion of a missing secret succeeds
		}
		if err != nil {
			return err
		}
		out = deleteOutput{ARN: s.ARN, Name: s.Name, DeletionDate: seconds(db.opts.Now().UnixMilli())}
		return tx.Bucket([]byte(bucketSecrets)).Delete([]byte(s.Name))
	})
	return out, err
}
