// Package expr is DynamoDB's expression language: conditions and filters, key
// conditions, update expressions and projections.
//
// It parses an expression with its #names and :values, refuses what DynamoDB
// refuses in DynamoDB's words, and evaluates the result on items. It knows no
// tables: which attributes are keys is the caller's business.
//
//	p, err := expr.NewParams(names, values)
//	c, err := p.Condition("ConditionExpression", "attribute_not_exists(pk) AND #n < :max")
//	err = p.Unused()
//	ok := c.Match(item)
//
// What a parse returns never changes and may be used by many goroutines; a
// Params belongs to one request.
package expr
