package dynamostore

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// tableShape is what the stack's table and TableSchema must have in common.
type tableShape struct {
	BillingMode            string
	AttributeDefinitions   map[string]string
	KeySchema              []keyPart
	GlobalSecondaryIndexes map[string]indexShape
}

type keyPart struct{ AttributeName, KeyType string }

type indexShape struct {
	KeySchema  []keyPart
	Projection string
}

// TestSchemaIsTheStacks compares the table that tests and the local system use with the
// one that is deployed, as the golden templates have it.
func TestSchemaIsTheStacks(t *testing.T) {
	in := TableSchema("any")
	want := tableShape{string(in.BillingMode), map[string]string{}, nil, map[string]indexShape{}}
	for _, a := range in.AttributeDefinitions {
		want.AttributeDefinitions[*a.AttributeName] = string(a.AttributeType)
	}
	for _, k := range in.KeySchema {
		want.KeySchema = append(want.KeySchema, keyPart{*k.AttributeName, string(k.KeyType)})
	}
	for _, index := range in.GlobalSecondaryIndexes {
		shape := indexShape{Projection: string(index.Projection.ProjectionType)}
		for _, k := range index.KeySchema {
			shape.KeySchema = append(shape.KeySchema, keyPart{*k.AttributeName, string(k.KeyType)})
		}
		want.GlobalSecondaryIndexes[*index.IndexName] = shape
	}
	for _, stage := range []string{"test", "live"} {
		got, expires := stackTable(t, stage)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: the stack's table (-TableSchema +stack):\n%s", stage, diff)
		}
		if !strings.Contains(completeSet, " "+expires+"=:exp") {
			t.Errorf("%s: the stack expires items by %q, which a completion does not write", stage, expires)
		}
	}
}

// stackTable reads the table of a golden template, and the attribute by which it expires items.
func stackTable(t *testing.T, stage string) (tableShape, string) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("..", "..", "infra", "testdata", "tollgate-"+stage+".json"))
	check(t, err)
	var template struct {
		Resources struct {
			Table struct {
				Properties struct {
					BillingMode            string
					AttributeDefinitions   []struct{ AttributeName, AttributeType string }
					KeySchema              []keyPart
					GlobalSecondaryIndexes []struct {
						IndexName  string
						KeySchema  []keyPart
						Projection struct{ ProjectionType string }
					}
					TimeToLiveSpecification struct {
						AttributeName string
						Enabled       bool
					}
				}
			}
		}
	}
	check(t, json.Unmarshal(raw, &template))
	p := template.Resources.Table.Properties
	shape := tableShape{p.BillingMode, map[string]string{}, p.KeySchema, map[string]indexShape{}}
	for _, a := range p.AttributeDefinitions {
		shape.AttributeDefinitions[a.AttributeName] = a.AttributeType
	}
	for _, index := range p.GlobalSecondaryIndexes {
		shape.GlobalSecondaryIndexes[index.IndexName] = indexShape{index.KeySchema, index.Projection.ProjectionType}
	}
	if !p.TimeToLiveSpecification.Enabled {
		return shape, ""
	}
	return shape, p.TimeToLiveSpecification.AttributeName
}
