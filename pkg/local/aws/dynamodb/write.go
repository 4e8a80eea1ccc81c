package dynamodb

import (
	"tollgate/pkg/local/aws/dynamodb/expr"
	"tollgate/pkg/local/aws/dynamodb/value"
)

type writeKind int

const (
	putWrite writeKind = iota
	updateWrite
	deleteWrite
	checkWrite
)

// write is one checked and parsed write of any operation. It is immutable, so that it may be
// evaluated in more than one transaction.
type write struct {
	kind      writeKind
	table     string
	item      value.Item // the item of a put, the key of all others
	update    *expr.Update
	condition *expr.Condition
	returnOld bool // with a failed condition
}

// effect is what a write does to the state on which it was evaluated.
type effect struct {
	table    *table
	key      []byte
	old, new value.Item // nil: no item
	writes   bool
}

// newWrite parses a write's expressions; update is nil but for updates.
func newWrite(kind writeKind, table string, item value.Item, ph placeholders, update, condition *string) (write, error) {
	w := write{kind: kind, table: table, item: item}
	p, err := ph.params()
	if err != nil {
		return w, err
	}
	if update != nil {
		if w.update, err = p.Update(*update); err != nil {
			return w, err
		}
	}
	if condition != nil {
		if w.condition, err = p.Condition("ConditionExpression", *condition); err != nil {
			return w, err
		}
	}
	return w, p.Unused()
}

// run evaluates and executes the write: the body of a job.
func (w *write) run(tx *transaction) (effect, error) {
	e, err := w.evaluate(tx)
	if err != nil {
		return e, err
	}
	return e, e.apply()
}

// evaluate checks everything and changes nothing. It returns the AWS error of a rejected
// write.
func (w *write) evaluate(tx *transaction) (effect, error) {
	t, err := openTable(tx, w.table)
	if err != nil {
		return effect{}, err
	}
	e := effect{table: t, writes: w.kind != checkWrite}
	if err := w.check(t); err != nil {
		return e, err
	}
	e.key = t.primaryKey(w.item)
	if e.old, err = t.get(e.key); err != nil {
		return e, err
	}
	if !w.condition.Match(e.old) {
		if w.returnOld {
			return e, conditionFailed(e.old)
		}
		return e, conditionFailed(nil)
	}
	switch w.kind {
	case putWrite:
		e.new = w.item
	case updateWrite:
		e.new, err = w.updated(t, e.old)
	}
	return e, err
}

// check checks what does not depend on the stored item.
func (w *write) check(t *table) error {
	if err := t.checkScalarPaths(append(w.update.Paths(), w.condition.Paths()...)); err != nil {
		return err
	}
	if w.kind == putWrite {
		return t.checkItem(w.item, "Item size has exceeded the maximum allowed size")
	}
	for _, p := range w.update.Paths() {
		for _, a := range t.keys() {
			if a.Name == p.Head() {
				return invalid(badParameter+"Cannot update attribute %s. This attribute is part of the key", a.Name)
			}
		}
	}
	return t.checkKey(w.item)
}

// updated returns the item after the update; one that does not exist starts with its key.
func (w *write) updated(t *table, old value.Item) (value.Item, error) {
	if old == nil {
		old = w.item
	}
	item, err := w.update.Apply(old)
	if err != nil {
		return nil, asAWS(err)
	}
	return item, t.checkItem(item, "Item size to update has exceeded the maximum allowed size")
}

// changes reports whether there is anything to write: checks and deletions of missing items
// need no commit.
func (e *effect) changes() bool { return e.writes && (e.old != nil || e.new != nil) }

func (e *effect) apply() error {
	if !e.changes() {
		return nil
	}
	return e.table.replace(e.key, e.old, e.new)
}
