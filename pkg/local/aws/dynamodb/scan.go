package dynamodb

import (
	"context"

	"go.etcd.io/bbolt"
)

type scanInput struct {
	pageInput
}

func (d *DB) scan(_ context.Context, in *scanInput) (*pageOutput, error) {
	name, err := tableName(in.TableName)
	if err != nil {
		return nil, err
	}
	p, err := in.params()
	if err != nil {
		return nil, err
	}
	pg, err := parsePage(&in.pageInput, p)
	if err != nil {
		return nil, err
	}
	var out *pageOutput
	err = d.view(func(tx *bbolt.Tx) error {
		t, ix, err := pg.open(tx, name)
		if err != nil {
			return err
		}
		s, err := pg.start(t, ix, span{}, false)
		if err != nil {
			return err
		}
		out, err = pg.run(t, ix, s, false)
		return err
	})
	return out, err
}
