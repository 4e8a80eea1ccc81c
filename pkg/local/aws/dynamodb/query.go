package dynamodb

import (
	"context"

	"tollgate/pkg/local/aws/dynamodb/expr"
)

type queryInput struct {
	pageInput
	KeyConditionExpression *string
	ScanIndexForward       *bool
}

func (d *DB) query(_ context.Context, in *queryInput) (*pageOutput, error) {
	if in.KeyConditionExpression == nil {
		return nil, invalid("Either the KeyConditions or KeyConditionExpression parameter must be specified in the request.")
	}
	p, err := in.params()
	if err != nil {
		return nil, err
	}
	terms, err := p.KeyCondition(*in.KeyConditionExpression)
	if err != nil {
		return nil, err
	}
	return d.page(&in.pageInput, p, func(pg *page, t *table, ix *index) (*pageOutput, error) {
		return pg.query(t, ix, terms, in.ScanIndexForward != nil && !*in.ScanIndexForward)
	})
}

func (pg *page) query(t *table, ix *index, terms []expr.KeyTerm, backward bool) (*pageOutput, error) {
	hash, sort := t.Hash, t.Range
	if ix != nil {
		hash, sort = ix.Hash, ix.Range
	}
	for _, p := range pg.filter.Paths() {
		if p.Head() == hash.Name || p.Head() == sort.Name {
			return nil, invalid("Filter Expression can only contain non-primary key attributes: Primary key attribute: %s", p.Head())
		}
	}
	hashTerm, rangeTerm, err := matchTerms(terms, hash, sort)
	if err != nil {
		return nil, err
	}
	partition := partitionKey(hashTerm.Values[0])
	s := rangeSpan(partition, rangeTerm)
	if start := pg.ExclusiveStartKey; start != nil && rangeTerm != nil {
		if v := start[sort.Name]; v.Type == sort.Type && !rangeTerm.Match(v) {
			return nil, invalid("The provided starting key does not match the range key predicate")
		}
	}
	if s, err = pg.start(t, ix, s, backward); err != nil {
		return nil, err
	}
	return pg.run(t, ix, s, backward)
}

// matchTerms finds the terms of the hash and the range key; the latter may be absent.
func matchTerms(terms []expr.KeyTerm, hash, sort attribute) (hashTerm, rangeTerm *expr.KeyTerm, err error) {
	for i := range terms {
		switch term := &terms[i]; term.Name {
		case hash.Name:
			hashTerm = term
		case sort.Name:
			rangeTerm = term
		}
	}
	switch {
	case hashTerm == nil:
		return nil, nil, invalid("Query condition missed key schema element: %s", hash.Name)
	case len(terms) == 2 && sort.Name == "":
		return nil, nil, invalid("Query key condition not supported")
	case len(terms) == 2 && rangeTerm == nil:
		return nil, nil, invalid("Query condition missed key schema element: %s", sort.Name)
	case hashTerm.Op != "=":
		return nil, nil, invalid("Query key condition not supported")
	}
	if err := checkTermTypes(hashTerm, hash); err != nil {
		return nil, nil, err
	}
	if rangeTerm != nil {
		err = checkTermTypes(rangeTerm, sort)
	}
	return hashTerm, rangeTerm, err
}

func checkTermTypes(term *expr.KeyTerm, a attribute) error {
	for _, v := range term.Values {
		if v.Type != a.Type {
			return invalid(badParameter + "Condition parameter type does not match schema type")
		}
		if what := emptyKind(v); what != "" && term.Op != "begins_with" {
			return invalid("One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty %s value. Key: %s", what, a.Name)
		}
	}
	return nil
}
