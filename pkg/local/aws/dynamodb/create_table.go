package dynamodb

import (
	"context"
	"crypto/rand"
	"slices"

	"tollgate/pkg/local/aws/awsjson"
	"tollgate/pkg/local/aws/dynamodb/value"
)

const maxIndexes = 20

type (
	attributeDefinition struct {
		AttributeName string
		AttributeType value.Type `enum:"B,N,S"`
	}
	keyElement struct {
		AttributeName string
		KeyType       string `enum:"HASH,RANGE"`
	}
	projection struct {
		ProjectionType   string   `json:",omitempty" enum:"ALL,INCLUDE,KEYS_ONLY"`
		NonKeyAttributes []string `json:",omitempty"`
	}

	indexInput struct {
		IndexName  string
		KeySchema  []keyElement
		Projection *projection
	}
)

// The only billing mode and projection that there are.
const (
	payPerRequest = "PAY_PER_REQUEST"
	projectAll    = "ALL"
)

type createTableInput struct {
	TableName              string
	AttributeDefinitions   []attributeDefinition
	KeySchema              []keyElement
	GlobalSecondaryIndexes []indexInput
	BillingMode            string `enum:"PROVISIONED,PAY_PER_REQUEST"`
}

func (d *DB) createTable(_ context.Context, in *createTableInput) (any, error) {
	if err := checkName("tableName", in.TableName); err != nil {
		return nil, err
	}
	if in.BillingMode != payPerRequest {
		return nil, unsupported("a BillingMode other than " + payPerRequest)
	}
	s, err := newSchema(in)
	if err != nil {
		return nil, err
	}
	s.ID, s.Created = rand.Text(), d.opts.Now().UnixMilli()
	err = d.update(func(tx *transaction) (bool, error) {
		old, err := loadSchema(tx, s.Name)
		if err != nil {
			return false, err
		}
		if old != nil {
			return false, awsjson.Errorf("ResourceInUseException", "Table already exists: %s", s.Name)
		}
		return true, createStorage(tx, s)
	})
	if err != nil {
		return nil, err
	}
	return map[string]any{"TableDescription": describe(s, "CREATING", 0, 0)}, nil
}

func createStorage(tx *transaction, s *schema) error {
	data, err := tx.Bucket(bucketData).CreateBucket([]byte(s.ID))
	if err != nil {
		return err
	}
	names := [][]byte{bucketItems, bucketExpiry}
	for _, ix := range s.Indexes {
		names = append(names, indexBucket(ix.Name))
	}
	for _, name := range names {
		if _, err := data.CreateBucket(name); err != nil {
			return err
		}
	}
	return saveSchema(tx, s)
}

func newSchema(in *createTableInput) (*schema, error) {
	s := &schema{Name: in.TableName, Definitions: in.AttributeDefinitions}
	used := map[string]bool{}
	var err error
	if s.Hash, s.Range, err = s.keySchema(in.KeySchema, used); err != nil {
		return nil, err
	}
	for i := range in.GlobalSecondaryIndexes {
		ix, err := s.newIndex(&in.GlobalSecondaryIndexes[i], used)
		if err != nil {
			return nil, err
		}
		s.Indexes = append(s.Indexes, ix)
	}
	if len(s.Indexes) > maxIndexes {
		return nil, invalid(badParameter+"GlobalSecondaryIndex count exceeds the per-table limit of %d", maxIndexes)
	}
	if len(used) != len(s.Definitions) {
		return nil, invalid(badParameter + "Number of attributes in KeySchema does not exactly match number of attributes defined in AttributeDefinitions")
	}
	return s, nil
}

// maxExprNameBytes bounds the names of key attributes.
const maxExprNameBytes = 255

// keySchema returns the attributes of one or two key elements and adds their names to used.
func (s *schema) keySchema(elements []keyElement, used map[string]bool) (hash, sort attribute, err error) {
	keys := make([]attribute, 2)
	ok := len(elements) == 1 || len(elements) == 2 && elements[1].KeyType == "RANGE" && elements[0].AttributeName != elements[1].AttributeName
	for i, e := range elements[:min(len(elements), 2)] {
		at := slices.IndexFunc(s.Definitions, func(d attributeDefinition) bool { return d.AttributeName == e.AttributeName })
		if ok = ok && at >= 0 && elements[0].KeyType == "HASH" && s.Definitions[at].AttributeType.Scalar() && len(e.AttributeName) <= maxExprNameBytes; !ok {
			break
		}
		keys[i] = attribute{e.AttributeName, s.Definitions[at].AttributeType}
		used[e.AttributeName] = true
	}
	if !ok {
		err = invalid("Invalid KeySchema: it needs a HASH key, at most one RANGE key, and both in AttributeDefinitions")
	}
	return keys[0], keys[1], err
}

func (s *schema) newIndex(in *indexInput, used map[string]bool) (index, error) {
	ix := index{Name: in.IndexName}
	if err := checkName("indexName", in.IndexName); err != nil {
		return ix, err
	}
	if _, err := s.find(in.IndexName); err == nil {
		return ix, invalid(badParameter+"Duplicate index name: %s", in.IndexName)
	}
	if in.Projection == nil || in.Projection.ProjectionType != projectAll || len(in.Projection.NonKeyAttributes) > 0 {
		return ix, unsupported("a Projection other than " + projectAll)
	}
	var err error
	ix.Hash, ix.Range, err = s.keySchema(in.KeySchema, used)
	return ix, err
}
