package dynamostore

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/limits"
)

// The conditions of effects, on the item under the effect's key.
//
// An insert, a swap of version 0 and a check of absence want no item there. A swap of
// another version wants :ver and writes :ver + 1. A check of presence wants an item,
// with its version and its fields as given, if they are.
const (
	effectAbsent  = "attribute_not_exists(pk)"
	effectPresent = "attribute_exists(pk)"
	effectVersion = "ver=:ver"
)

// transactItems returns the effects of now as actions of a transaction, in their order.
// They do not ask for the old item: nothing reads it, and it may have 400 KB.
func (s *writer) transactItems(effects dispatch.Effects, now time.Time) ([]types.TransactWriteItem, error) {
	items := make([]types.TransactWriteItem, len(effects))
	for i, e := range effects {
		var err error
		if e.Kind == dispatch.KindCheck {
			items[i].ConditionCheck, err = s.check(e)
		} else {
			items[i].Put, err = s.put(e, now)
		}
		if err != nil {
			return nil, fmt.Errorf("effect %d (%s): %w", i, e.Kind, err)
		}
	}
	return items, nil
}

// put returns an insert or a swap. With a retention the table may forget a fact so long afterwards.
func (s *writer) put(e dispatch.Effect, now time.Time) (*types.Put, error) {
	attributes, err := encodeFields(e.Fields)
	if err != nil {
		return nil, err
	}
	attributes["pk"] = str(e.Key)
	if s.kept.Facts > 0 && e.Kind == dispatch.KindInsert && strings.HasPrefix(e.Key, limits.KeyFact) {
		attributes["exp"] = num(now.Add(s.kept.Facts).Unix())
	}
	p := &types.Put{TableName: &s.table, Item: attributes, ConditionExpression: aws.String(effectAbsent)}
	if e.Kind == dispatch.KindSwap {
		attributes["ver"] = num(e.Ver + 1)
		if e.Ver > 0 {
			p.ConditionExpression = aws.String(effectVersion)
			p.ExpressionAttributeValues = item{":ver": num(e.Ver)}
		}
	}
	return p, nil
}

func (s *writer) check(e dispatch.Effect) (*types.ConditionCheck, error) {
	c := &types.ConditionCheck{TableName: &s.table, Key: keyOf(e.Key), ConditionExpression: aws.String(effectAbsent)}
	if e.Absent {
		return c, nil
	}
	wants, values, names := []string{effectPresent}, item{}, map[string]string{}
	if e.Ver > 0 {
		wants = append(wants, effectVersion)
		values[":ver"] = num(e.Ver)
	}
	for i, name := range slices.Sorted(maps.Keys(e.Fields)) {
		value, err := encode(e.Fields[name])
		if err != nil {
			return nil, err
		}
		placeholder := fmt.Sprintf("f%d", i)
		wants = append(wants, "#"+placeholder+"=:"+placeholder)
		names["#"+placeholder], values[":"+placeholder] = name, value
	}
	c.ConditionExpression = aws.String(strings.Join(wants, " AND "))
	if len(names) > 0 {
		c.ExpressionAttributeNames = names
	}
	if len(values) > 0 {
		c.ExpressionAttributeValues = values
	}
	return c, nil
}

// writtenKeys returns the keys of the items that effects write, in their order.
func writtenKeys(effects dispatch.Effects) []string {
	var keys []string
	for _, e := range effects {
		if e.Kind != dispatch.KindCheck {
			keys = append(keys, e.Key)
		}
	}
	return keys
}
