package dynamodb

import (
	"strings"

	"tollgate/pkg/local/aws/awsjson"
	"tollgate/pkg/local/aws/dynamodb/expr"
	"tollgate/pkg/local/aws/dynamodb/value"
)

// Limits of items and keys, in bytes.
const (
	maxItemBytes  = 400 << 10
	maxHashBytes  = 2048
	maxRangeBytes = 1024
)

// attribute is a key attribute; the zero value means "no range key".
type attribute struct {
	Name string
	Type value.Type
}

// index is a global secondary index.
type index struct {
	Name  string
	Hash  attribute
	Range attribute
}

// schema is a table without its items; it is stored as JSON.
type schema struct {
	Name        string
	ID          string // names the table's data, so that a new table of the same name is empty
	Created     int64  // milliseconds
	Hash        attribute
	Range       attribute
	Definitions []attributeDefinition
	Indexes     []index
	Expiry      string // the attribute of time to live, "" if disabled
}

// keys returns the table's key attributes.
func (s *schema) keys() []attribute { return keyAttributes(s.Hash, s.Range) }

// keys returns the index's key attributes.
func (ix *index) keys() []attribute { return keyAttributes(ix.Hash, ix.Range) }

func keyAttributes(hash, sort attribute) []attribute {
	if sort.Name == "" {
		return []attribute{hash}
	}
	return []attribute{hash, sort}
}

// find returns the index of that name, or a ValidationException.
func (s *schema) find(name string) (*index, error) {
	for i := range s.Indexes {
		if s.Indexes[i].Name == name {
			return &s.Indexes[i], nil
		}
	}
	return nil, invalid("The table does not have the specified index: %s", name)
}

// pick returns an item with just these attributes.
func pick(item value.Item, attrs []attribute) value.Item {
	out := make(value.Item, len(attrs))
	for _, a := range attrs {
		out[a.Name] = item[a.Name]
	}
	return out
}

// checkKey requires exactly the table's key attributes.
func (s *schema) checkKey(key value.Item) error {
	if len(key) != len(s.keys()) {
		return invalid("The provided key element does not match the schema")
	}
	for _, a := range s.keys() {
		if key[a.Name].Type != a.Type {
			return invalid("The provided key element does not match the schema")
		}
	}
	return checkKeyContents(s.Hash, s.Range, key)
}

// checkItem checks an item before it is stored: its keys, the keys of indexes, its size and
// its depth.
func (s *schema) checkItem(item value.Item, tooLarge string) error {
	for _, a := range s.keys() {
		v, ok := item[a.Name]
		if !ok {
			return invalid(badParameter+"Missing the key %s in the item", a.Name)
		}
		if v.Type != a.Type {
			return invalid(badParameter+"Type mismatch for key %s expected: %s actual: %s", a.Name, a.Type, v.Type)
		}
	}
	if err := checkKeyContents(s.Hash, s.Range, item); err != nil {
		return err
	}
	for i := range s.Indexes {
		if err := s.Indexes[i].check(item); err != nil {
			return err
		}
	}
	if item.Size() > maxItemBytes {
		return invalid("%s", tooLarge)
	}
	for name, v := range item {
		if name == "" {
			return invalid(badParameter + "An attribute name may not be empty")
		}
		if v.Depth() > value.MaxDepth {
			return invalid("Nesting Levels have exceeded supported limits: Attributes in the item have nested levels beyond supported limit")
		}
	}
	return nil
}

// check checks the types of an item's index keys.
func (ix *index) check(item value.Item) error {
	for _, a := range ix.keys() {
		v, ok := item[a.Name]
		if !ok {
			continue
		}
		if v.Type != a.Type {
			return invalid(badParameter+"Type mismatch for Index Key %s Expected: %s Actual: %s IndexName: %s", a.Name, a.Type, v.Type, ix.Name)
		}
		if what := emptyKind(v); what != "" {
			return invalid("One or more parameter values are not valid. A value specified for a secondary index key is not supported. "+
				"The AttributeValue for a key attribute cannot contain an empty %s value. IndexName: %s, IndexKey: %s", what, ix.Name, a.Name)
		}
	}
	return checkKeySizes(ix.Hash, ix.Range, item)
}

func checkKeyContents(hash, sort attribute, item value.Item) error {
	for _, a := range keyAttributes(hash, sort) {
		if what := emptyKind(item[a.Name]); what != "" {
			return invalid("One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty %s value. Key: %s", what, a.Name)
		}
	}
	return checkKeySizes(hash, sort, item)
}

func checkKeySizes(hash, sort attribute, item value.Item) error {
	if len(item[hash.Name].Text) > maxHashBytes {
		return invalid(badParameter + "Size of hashkey has exceeded the maximum size limit of2048 bytes")
	}
	if len(item[sort.Name].Text) > maxRangeBytes {
		return invalid(badParameter + "Aggregated size of all range keys has exceeded the size limit of 1024 bytes")
	}
	return nil
}

// emptyKind returns "string" or "binary" for an empty value of that type, else "".
func emptyKind(v value.Value) string {
	switch {
	case v.Text != "":
		return ""
	case v.Type == value.String:
		return "string"
	case v.Type == value.Binary:
		return "binary"
	}
	return ""
}

// checkScalarPaths rejects paths into key attributes, which are never documents.
func (s *schema) checkScalarPaths(paths []expr.Path) error {
	for _, p := range paths {
		if !p.Nested() {
			continue
		}
		for _, a := range s.keys() {
			if a.Name == p.Head() {
				return invalid("Key attributes must be scalars; list random access '[]' and map lookup '.' are not allowed: Key: %s", a.Name)
			}
		}
		for i := range s.Indexes {
			for _, a := range s.Indexes[i].keys() {
				if a.Name == p.Head() {
					return invalid("Key attributes must be scalars; list random access '[]' and map lookup '.' are not allowed: IndexKey: %s", a.Name)
				}
			}
		}
	}
	return nil
}

// tableARN returns a table's ARN.
func tableARN(name string) string {
	return awsjson.ARN("dynamodb", "table/"+name)
}

// tableName takes a table's name or its ARN, and checks the form.
func tableName(name string) (string, error) {
	name = strings.TrimPrefix(name, tableARN(""))
	return name, checkName("tableName", name)
}

func checkName(member, name string) error {
	if len(name) < 3 || len(name) > 255 {
		return invalid("%s must be at least 3 characters long and at most 255 characters long", strings.ToUpper(member[:1])+member[1:])
	}
	const allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-"
	if strings.ContainsFunc(name, func(r rune) bool { return !strings.ContainsRune(allowed, r) }) {
		return constraint(name, member, "satisfy regular expression pattern: [a-zA-Z0-9_.-]+")
	}
	return nil
}
