package dynamodb

import (
	"maps"
	"slices"

	"tollgate/pkg/local/aws/dynamodb/value"
)

// Bytes of one capacity unit.
const (
	writeUnitBytes = 1 << 10
	readUnitBytes  = 4 << 10
)

// consumed is the ConsumedCapacity of one table; transactions split it by kind.
type consumed struct {
	TableName string
	units
	Table                  *units           `json:",omitempty"` // with INDEXES, as are the indexes
	GlobalSecondaryIndexes map[string]units `json:",omitempty"`
}

type units struct {
	CapacityUnits      float64
	ReadCapacityUnits  float64 `json:",omitempty"`
	WriteCapacityUnits float64 `json:",omitempty"`
}

// meter adds up the capacity of a request. Use it within one transaction, because a write may
// run again.
type meter struct {
	tables map[string]*cost
}

type cost struct {
	table   float64
	indexes map[string]float64
}

func (m *meter) of(table string) *cost {
	if m.tables == nil {
		m.tables = map[string]*cost{}
	}
	c := m.tables[table]
	if c == nil {
		c = &cost{indexes: map[string]float64{}}
		m.tables[table] = c
	}
	return c
}

// Factors of a unit.
const (
	eventual      = 0.5
	strong        = 1.0
	transactional = 2.0
)

func consistency(strongly bool) float64 {
	if strongly {
		return strong
	}
	return eventual
}

// read adds a read of size bytes, rounded up; an empty read is one unit.
func (m *meter) read(table string, ix *index, bytes int, factor float64) {
	n := factor * whole(bytes, readUnitBytes)
	if ix != nil {
		m.of(table).indexes[ix.Name] += n
		return
	}
	m.of(table).table += n
}

// write adds the cost of an effect: the larger of the old and new item, and each index entry
// that changes. Index entries are written after a transaction, outside of it.
func (m *meter) write(e *effect, factor float64) {
	c := m.of(e.table.Name)
	c.table += factor * whole(max(e.old.Size(), e.new.Size()), writeUnitBytes)
	if !e.writes {
		return
	}
	for i := range e.table.Indexes {
		ix := &e.table.Indexes[i]
		if n := e.table.indexCost(ix, e.old, e.new); n > 0 {
			c.indexes[ix.Name] += n
		}
	}
}

// indexCost is one write for an entry that appears, disappears or changes, and two for
// one that moves, as it is deleted and put.
func (t *table) indexCost(ix *index, old, new value.Item) float64 {
	before, after := t.entry(ix, old), t.entry(ix, new)
	oldSize, newSize := old.Size(), new.Size()
	switch {
	case before == nil && after == nil:
		return 0
	case before == nil:
		return whole(newSize, writeUnitBytes)
	case after == nil:
		return whole(oldSize, writeUnitBytes)
	case string(before) != string(after):
		return whole(oldSize, writeUnitBytes) + whole(newSize, writeUnitBytes)
	case value.EqualItems(old, new):
		return 0
	}
	return whole(max(oldSize, newSize), writeUnitBytes)
}

func whole(bytes, unit int) float64 { return float64(max(1, (bytes+unit-1)/unit)) }

// kind splits a transaction's units into reads and writes.
type kind int

const (
	plain kind = iota
	transactRead
	transactWrite
)

func (k kind) units(n float64) units {
	u := units{CapacityUnits: n}
	switch k {
	case transactRead:
		u.ReadCapacityUnits = n
	case transactWrite:
		u.WriteCapacityUnits = n
	}
	return u
}

// report gives what ReturnConsumedCapacity asks for, by table.
func (m *meter) report(asked string, k kind) (all []consumed) {
	if asked != "TOTAL" && asked != "INDEXES" {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(m.tables)) {
		c, sum := m.tables[name], 0.0
		for _, n := range c.indexes {
			sum += n
		}
		r := consumed{TableName: name, units: k.units(c.table + sum)}
		if asked == "INDEXES" {
			own := k.units(c.table)
			r.Table, r.GlobalSecondaryIndexes = &own, map[string]units{}
			for ix, n := range c.indexes {
				r.GlobalSecondaryIndexes[ix] = k.units(n)
			}
		}
		all = append(all, r)
	}
	return all
}

// one is the report of a request for one table.
func (m *meter) one(asked string) *consumed {
	if all := m.report(asked, plain); len(all) == 1 {
		return &all[0]
	}
	return nil
}
