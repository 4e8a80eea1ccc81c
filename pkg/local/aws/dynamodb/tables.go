package dynamodb

import (
	"context"
)

const maxTableList = 100

type tableInput struct{ TableName string }

// describe returns a table's description, as in the answer of DescribeTable.
func describe(s *schema, status string, items, size int64) map[string]any {
	out := map[string]any{
		"TableName":                 s.Name,
		"TableArn":                  tableARN(s.Name),
		"TableId":                   s.ID,
		"TableStatus":               status,
		"CreationDateTime":          float64(s.Created) / 1000,
		"AttributeDefinitions":      s.Definitions,
		"KeySchema":                 keyElements(s.keys()),
		"ItemCount":                 items,
		"TableSizeBytes":            size,
		"ProvisionedThroughput":     onDemand,
		"BillingModeSummary":        map[string]any{"BillingMode": payPerRequest},
		"DeletionProtectionEnabled": false,
	}
	if len(s.Indexes) > 0 {
		out["GlobalSecondaryIndexes"] = describeIndexes(s, status)
	}
	return out
}

// onDemand is the throughput of a table that is paid per request.
var onDemand = map[string]any{"NumberOfDecreasesToday": 0, "ReadCapacityUnits": 0, "WriteCapacityUnits": 0}

func describeIndexes(s *schema, status string) []map[string]any {
	out := make([]map[string]any, len(s.Indexes))
	for i, ix := range s.Indexes {
		out[i] = map[string]any{
			"IndexName":             ix.Name,
			"IndexArn":              tableARN(s.Name) + "/index/" + ix.Name,
			"IndexStatus":           status,
			"KeySchema":             keyElements(ix.keys()),
			"Projection":            projection{projectAll, nil},
			"ProvisionedThroughput": onDemand,
		}
	}
	return out
}

func keyElements(keys []attribute) []keyElement {
	out := []keyElement{{keys[0].Name, "HASH"}}
	if len(keys) == 2 {
		out = append(out, keyElement{keys[1].Name, "RANGE"})
	}
	return out
}

// findTable returns a table for operations on tables, whose errors name it.
func (d *DB) findTable(tx *transaction, name string) (*table, error) {
	name, err := tableName(name)
	if err != nil {
		return nil, err
	}
	return tableOr(tx, name, noSuchTable(name))
}

func (d *DB) describeTable(_ context.Context, in *tableInput) (out map[string]any, err error) {
	err = d.view(func(tx *transaction) error {
		t, err := d.findTable(tx, in.TableName)
		if err == nil {
			items, size := t.stats()
			out = map[string]any{"Table": describe(t.schema, "ACTIVE", items, size)}
		}
		return err
	})
	return out, err
}

func (d *DB) deleteTable(_ context.Context, in *tableInput) (out map[string]any, err error) {
	err = d.update(func(tx *transaction) (bool, error) {
		t, err := d.findTable(tx, in.TableName)
		if err != nil {
			return false, err
		}
		out = map[string]any{"TableDescription": describe(t.schema, "DELETING", 0, 0)}
		if err := tx.Bucket(bucketData).DeleteBucket([]byte(t.ID)); err != nil {
			return false, err
		}
		return true, tx.Bucket(bucketTables).Delete([]byte(t.Name))
	})
	return out, err
}

type listTablesInput struct {
	ExclusiveStartTableName string
	Limit                   *int
}

type listTablesOutput struct {
	TableNames             []string
	LastEvaluatedTableName string `json:",omitempty"`
}

func (d *DB) listTables(_ context.Context, in *listTablesInput) (*listTablesOutput, error) {
	limit := maxTableList
	if in.Limit != nil {
		limit = *in.Limit
	}
	if limit < 1 || limit > maxTableList {
		return nil, constraint(limit, "limit", "have value between 1 and 100")
	}
	out := &listTablesOutput{TableNames: []string{}}
	err := d.view(func(tx *transaction) error {
		c := tx.Bucket(bucketTables).Cursor()
		name, _ := c.Seek([]byte(in.ExclusiveStartTableName))
		if string(name) == in.ExclusiveStartTableName && name != nil {
			name, _ = c.Next()
		}
		for ; name != nil; name, _ = c.Next() {
			if len(out.TableNames) == limit {
				out.LastEvaluatedTableName = out.TableNames[limit-1]
				return nil
			}
			out.TableNames = append(out.TableNames, string(name))
		}
		return nil
	})
	return out, err
}

// describeBackups answers as for a new table on AWS: continuous backups enabled, point-in-time
// recovery disabled.
func (d *DB) describeBackups(_ context.Context, in *tableInput) (map[string]any, error) {
	err := d.view(func(tx *transaction) error {
		_, err := d.findTable(tx, in.TableName)
		return err
	})
	if err != nil {
		return nil, err
	}
	return map[string]any{"ContinuousBackupsDescription": map[string]any{
		"ContinuousBackupsStatus":        "ENABLED",
		"PointInTimeRecoveryDescription": map[string]any{"PointInTimeRecoveryStatus": "DISABLED"},
	}}, nil
}
