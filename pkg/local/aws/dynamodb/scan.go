package dynamodb

import "context"

type scanInput struct{ pageInput }

func (d *DB) scan(_ context.Context, in *scanInput) (*pageOutput, error) {
	p, err := in.params()
	if err != nil {
		return nil, err
	}
	return d.page(&in.pageInput, p, func(pg *page, t *table, ix *index) (*pageOutput, error) {
		s, err := pg.start(t, ix, span{}, false)
		if err != nil {
			return nil, err
		}
		return pg.run(t, ix, s, false)
	})
}
