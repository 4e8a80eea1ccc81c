// Package expr is DynamoDB's expression language: conditions and filters, key
// conditions, update expressions and projections.
//
// It parses an expression with its #names and :values, rejects what DynamoDB rejects
// with DynamoDB's messages, and evaluates the result on items. It does not know
// tables and their keys.
//
//	p, err := expr.NewParams(names, values)
//	c, err := p.Condition("ConditionExpression", "attribute_not_exists(pk) AND #n < :max")
//	err = p.Unused()
//	ok := c.Match(item)
//
// Parsed expressions do not change and are safe for concurrent use; a Params belongs
// to one request.
package expr
