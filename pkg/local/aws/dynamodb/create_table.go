package dynamodb

import (
	"context"
	"crypto/rand"
	"slices"
	"strings"

	"go.etcd.io/bbolt"

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
		IndexName             string
		KeySchema             []keyElement
		Projection            *projection
		ProvisionedThroughput refused
		OnDemandThroughput    refused
		WarmThroughput        refused
	}
)

// The only billing mode and projection that there are.
const (
	payPerRequest = "PAY_PER_REQUEST"
	projectAll    = "ALL"
)

type createTableInput struct {
	TableName                          string
	AttributeDefinitions               []attributeDefinition
	KeySchema                          []keyElement
	GlobalSecondaryIndexes             []indexInput
	LocalSecondaryIndexes              refused
	BillingMode                        string `enum:"PROVISIONED,PAY_PER_REQUEST"`
	ProvisionedThroughput              refused
	Tags                               refused
	StreamSpecification                refused
	SSESpecification                   refused
	DeletionProtectionEnabled          refused
	TableClass                         refused
	OnDemandThroughput                 refused
	WarmThroughput                     refused
	ResourcePolicy                     refused
	GlobalTableSourceArn               refused
	GlobalTableSettingsReplicationMode refused
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
	err = d.update(func(tx *bbolt.Tx) (bool, error) {
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

func createStorage(tx *bbolt.Tx, s *schema) error {
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
	if err := checkDefinitions(in.AttributeDefinitions); err != nil {
		return nil, err
	}
	var err error
	if s.Hash, s.Range, err = keySchema(in.KeySchema, in.AttributeDefinitions); err != nil {
		return nil, err
	}
	if in.GlobalSecondaryIndexes != nil && len(in.GlobalSecondaryIndexes) == 0 {
		return nil, invalid(badParameter + "List of GlobalSecondaryIndexes is empty")
	}
	for i := range in.GlobalSecondaryIndexes {
		ix, err := newIndex(s, &in.GlobalSecondaryIndexes[i])
		if err != nil {
			return nil, err
		}
		s.Indexes = append(s.Indexes, ix)
	}
	if len(s.Indexes) > maxIndexes {
		return nil, invalid(badParameter+"GlobalSecondaryIndex count exceeds the per-table limit of %d", maxIndexes)
	}
	return s, checkAllUsed(s)
}

func checkDefinitions(defs []attributeDefinition) error {
	seen := map[string]bool{}
	for _, def := range defs {
		if def.AttributeName == "" || len(def.AttributeName) > maxExprNameBytes || def.AttributeType == "" {
			return invalid(badParameter + "An AttributeDefinition needs an AttributeName of 1 to 255 bytes and an AttributeType")
		}
		if seen[def.AttributeName] {
			return invalid(badParameter+"Duplicate AttributeName in AttributeDefinitions: %s", def.AttributeName)
		}
		seen[def.AttributeName] = true
	}
	return nil
}

// maxExprNameBytes bounds the names of key attributes.
const maxExprNameBytes = 255

// checkAllUsed refuses definitions of attributes that are not keys.
func checkAllUsed(s *schema) error {
	used := map[string]bool{}
	for _, a := range s.keys() {
		used[a.Name] = true
	}
	for i := range s.Indexes {
		for _, a := range s.Indexes[i].keys() {
			used[a.Name] = true
		}
	}
	if len(used) == len(s.Definitions) {
		return nil
	}
	if len(s.Indexes) == 0 {
		return invalid(badParameter + "Number of attributes in KeySchema does not exactly match number of attributes defined in AttributeDefinitions")
	}
	return invalid(badParameter + "Some AttributeDefinitions are not used by the table or its indexes")
}

func keySchema(elements []keyElement, defs []attributeDefinition) (hash, sort attribute, err error) {
	var names, defined []string
	for _, e := range elements {
		names = append(names, e.AttributeName)
	}
	for _, def := range defs {
		defined = append(defined, def.AttributeName)
	}
	if len(elements) < 1 || len(elements) > 2 {
		return hash, sort, invalid("Invalid KeySchema: a KeySchema has one or two elements, this one has %d", len(elements))
	}
	keys := make([]attribute, 2)
	for i, e := range elements {
		at := slices.Index(defined, e.AttributeName)
		if at < 0 {
			return hash, sort, invalid(badParameter+"Some index key attributes are not defined in AttributeDefinitions. Keys: [%s], AttributeDefinitions: [%s]",
				strings.Join(names, ", "), strings.Join(defined, ", "))
		}
		keys[i] = attribute{e.AttributeName, defs[at].AttributeType}
	}
	switch {
	case elements[0].KeyType != "HASH":
		err = invalid("Invalid KeySchema: The first KeySchemaElement is not a HASH key type")
	case len(elements) == 2 && elements[1].KeyType != "RANGE":
		err = invalid("Invalid KeySchema: The second KeySchemaElement is not a RANGE key type")
	case keys[0].Name == keys[1].Name:
		err = invalid("Both the Hash Key and the Range Key element in the KeySchema have the same name")
	}
	return keys[0], keys[1], err
}

func newIndex(s *schema, in *indexInput) (index, error) {
	ix := index{Name: in.IndexName}
	if err := checkName("indexName", in.IndexName); err != nil {
		return ix, err
	}
	if _, err := s.find(in.IndexName); err == nil {
		return ix, invalid(badParameter+"Duplicate index name: %s", in.IndexName)
	}
	var err error
	if ix.Hash, ix.Range, err = keySchema(in.KeySchema, s.Definitions); err != nil {
		return ix, err
	}
	if in.Projection == nil || in.Projection.ProjectionType == "" {
		return ix, invalid(badParameter + "Unknown ProjectionType: null")
	}
	if in.Projection.ProjectionType != projectAll || len(in.Projection.NonKeyAttributes) > 0 {
		return ix, unsupported("a Projection other than " + projectAll)
	}
	return ix, nil
}
