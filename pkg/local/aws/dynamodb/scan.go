package dynamodb

import (
	"context"

	"go.etcd.io/bbolt"
)

const maxSegments = 1000000

type scanInput struct {
	pageInput
	Segment       *int
	TotalSegments *int
	ScanFilter    refused
}

// segment returns the part of the table that the scan is of.
func (in *scanInput) segment() (span, error) {
	switch segment, total := in.Segment, in.TotalSegments; {
	case segment == nil && total == nil:
		return span{}, nil
	case total == nil:
		return span{}, invalid("The TotalSegments parameter is required but was not present in the request when Segment parameter is present")
	case segment == nil:
		return span{}, invalid("The Segment parameter is required but was not present in the request when parameter TotalSegments is present")
	case *total < 1 || *total > maxSegments:
		return span{}, constraint(*total, "totalSegments", "have value between 1 and 1000000")
	case *segment < 0:
		return span{}, constraint(*segment, "segment", "have value greater than or equal to 0")
	case *segment >= *total:
		return span{}, invalid("The Segment parameter is zero-based and must be less than parameter TotalSegments: Segment: %d is not less than TotalSegments: %d", *segment, *total)
	}
	return segmentSpan(*in.Segment, *in.TotalSegments), nil
}

func (d *DB) scan(_ context.Context, in *scanInput) (*pageOutput, error) {
	name, err := tableName(in.TableName)
	if err != nil {
		return nil, err
	}
	whole, err := in.segment()
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
		s, err := pg.start(t, ix, whole, false)
		if err != nil {
			return err
		}
		out, err = pg.run(t, ix, s, false)
		return err
	})
	return out, err
}
