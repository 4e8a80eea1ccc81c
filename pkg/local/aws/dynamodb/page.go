package dynamodb

import (
	"bytes"

	"go.etcd.io/bbolt"

	"tollgate/pkg/local/aws/dynamodb/expr"
	"tollgate/pkg/local/aws/dynamodb/value"
)

// maxPageBytes ends a page of Query or Scan; the item that reaches it is the last.
const maxPageBytes = 1 << 20

// pageInput are the members that Query and Scan share.
type pageInput struct {
	placeholders
	TableName              string
	IndexName              string
	Select                 string `enum:"ALL_ATTRIBUTES,ALL_PROJECTED_ATTRIBUTES,SPECIFIC_ATTRIBUTES,COUNT"`
	Limit                  *int
	ConsistentRead         bool
	ExclusiveStartKey      value.Item
	FilterExpression       *string
	ProjectionExpression   *string
	ReturnConsumedCapacity string `enum:"INDEXES,TOTAL,NONE"`
}

type pageOutput struct {
	Items            *[]value.Item `json:",omitempty"` // absent with Select COUNT
	Count            int
	ScannedCount     int
	LastEvaluatedKey value.Item `json:",omitempty"`
	ConsumedCapacity *consumed  `json:",omitempty"`
}

// page is a parsed request for a page of a table or of an index.
type page struct {
	*pageInput
	filter     *expr.Condition
	projection expr.Projection
}

// page parses the common members and reads a page of one snapshot with read.
func (d *DB) page(in *pageInput, p *expr.Params, read func(*page, *table, *index) (*pageOutput, error)) (out *pageOutput, err error) {
	name, err := tableName(in.TableName)
	if err != nil {
		return nil, err
	}
	pg, err := parsePage(in, p)
	if err != nil {
		return nil, err
	}
	err = d.view(func(tx *transaction) error {
		t, ix, err := pg.open(tx, name)
		if err != nil {
			return err
		}
		out, err = read(pg, t, ix)
		return err
	})
	return out, err
}

// parsePage parses the common members of Query and Scan. The caller has parsed its own
// expressions with the same params before.
func parsePage(in *pageInput, p *expr.Params) (*page, error) {
	pg := &page{pageInput: in}
	var err error
	if in.FilterExpression != nil {
		if pg.filter, err = p.Condition("FilterExpression", *in.FilterExpression); err != nil {
			return nil, err
		}
	}
	if in.ProjectionExpression != nil {
		if pg.projection, err = p.Projection(*in.ProjectionExpression); err != nil {
			return nil, err
		}
	}
	switch {
	case in.Limit != nil && *in.Limit < 1:
		return nil, constraint(*in.Limit, "limit", "have value greater than or equal to 1")
	case in.Select == "SPECIFIC_ATTRIBUTES" && pg.projection == nil:
		return nil, invalid(badParameter + "Must specify the AttributesToGet or ProjectionExpression when choosing to get SPECIFIC_ATTRIBUTES")
	case pg.projection != nil && in.Select != "" && in.Select != "SPECIFIC_ATTRIBUTES":
		return nil, invalid("Cannot specify the ProjectionExpression when choosing to get %s", in.Select)
	case in.Select == "ALL_PROJECTED_ATTRIBUTES" && in.IndexName == "":
		return nil, invalid(badParameter + "ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName")
	}
	return pg, p.Unused()
}

// open returns the table and the index that the page is of; the index is nil for the table itself.
func (pg *page) open(tx *transaction, name string) (*table, *index, error) {
	t, err := openTable(tx, name)
	if err != nil {
		return nil, nil, err
	}
	paths := append(append([]expr.Path{}, pg.filter.Paths()...), pg.projection...)
	if err := t.checkScalarPaths(paths); err != nil || pg.IndexName == "" {
		return t, nil, err
	}
	ix, err := t.find(pg.IndexName)
	if err != nil {
		return nil, nil, err
	}
	if pg.ConsistentRead {
		return nil, nil, invalid("Consistent reads are not supported on global secondary indexes")
	}
	return t, ix, nil
}

// start narrows the span to what comes after ExclusiveStartKey. The key must have
// the form of a LastEvaluatedKey and lie in the span.
func (pg *page) start(t *table, ix *index, s span, backward bool) (span, error) {
	if pg.ExclusiveStartKey == nil {
		return s, nil
	}
	keys := startKeys(t, ix)
	ok := len(pg.ExclusiveStartKey) == len(keys) && checkKeySizes(t.Hash, t.Range, pg.ExclusiveStartKey) == nil &&
		(ix == nil || checkKeySizes(ix.Hash, ix.Range, pg.ExclusiveStartKey) == nil)
	for _, a := range keys {
		v := pg.ExclusiveStartKey[a.Name]
		ok = ok && v.Type == a.Type && emptyKind(v) == ""
	}
	if !ok {
		return s, invalid("The provided starting key is invalid")
	}
	key := t.primaryKey(pg.ExclusiveStartKey)
	if ix != nil {
		key = t.entryKey(ix, pg.ExclusiveStartKey)
	}
	if !s.contains(key) {
		return s, invalid("The provided starting key is outside query boundaries based on provided conditions")
	}
	if backward {
		return span{s.low, key}, nil
	}
	return span{append(key, 0), s.high}, nil // the least key above it
}

// startKeys are the attributes of a LastEvaluatedKey: the table's keys and the index's.
func startKeys(t *table, ix *index) []attribute {
	keys := t.keys()
	if ix == nil {
		return keys
	}
	for _, a := range ix.keys() {
		if a != t.Hash && a != t.Range {
			keys = append(keys, a)
		}
	}
	return keys
}

// run reads the page's items from the span.
func (pg *page) run(t *table, ix *index, s span, backward bool) (*pageOutput, error) {
	out := &pageOutput{}
	items := []value.Item{}
	size := 0
	err := t.walk(ix, s, backward, func(item value.Item) bool {
		size += item.Size()
		out.ScannedCount++
		if pg.filter.Match(item) {
			out.Count++
			if pg.Select != "COUNT" {
				items = append(items, shape(item, pg.projection))
			}
		}
		if size >= maxPageBytes || pg.Limit != nil && out.ScannedCount >= *pg.Limit {
			out.LastEvaluatedKey = pick(item, startKeys(t, ix))
			return false
		}
		return true
	})
	if pg.Select != "COUNT" {
		out.Items = &items
	}
	var m meter
	m.read(t.Name, ix, size, consistency(pg.ConsistentRead))
	out.ConsumedCapacity = m.one(pg.ReturnConsumedCapacity)
	return out, err
}

// walk calls f with the items of the span in key order, or backward, until f returns false.
func (t *table) walk(ix *index, s span, backward bool, f func(value.Item) bool) error {
	items := t.data.Bucket(bucketItems)
	from := items
	if ix != nil {
		from = t.data.Bucket(indexBucket(ix.Name))
	}
	c := from.Cursor()
	k, content := first(c, s, backward)
	for k != nil && s.contains(k) {
		if ix != nil {
			content = items.Get(content)
		}
		item, err := decodeItem(content)
		if err != nil {
			return err
		}
		if !f(item) {
			return nil
		}
		if backward {
			k, content = c.Prev()
		} else {
			k, content = c.Next()
		}
	}
	return nil
}

// first places the cursor on the span's first key in the given direction.
func first(c *bbolt.Cursor, s span, backward bool) (key, content []byte) {
	if !backward {
		return c.Seek(s.low)
	}
	if s.high == nil {
		return c.Last()
	}
	k, v := c.Seek(s.high)
	if k == nil {
		k, v = c.Last()
	}
	for k != nil && bytes.Compare(k, s.high) >= 0 {
		k, v = c.Prev()
	}
	return k, v
}
