package conformance

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

func transactChecks() []check {
	const page = "TransactWriteItems, Amazon DynamoDB API Reference"
	const reasons = "CancellationReason, Amazon DynamoDB API Reference"
	return []check{
		{"dynamodb/transact/all-kinds", page, "Put, Update, Delete and ConditionCheck work in one transaction.", onTable(transactAllKinds)},
		{"dynamodb/transact/several-tables", page, "A transaction reaches across tables.", transactTables},
		{"dynamodb/transact/atomic", page, "If one condition fails nothing is written.", onTable(transactAtomic)},
		{"dynamodb/transact/reasons-in-order", reasons, "The reasons stand in the order of the actions, None for those that would have passed.", onTable(transactReasons)},
		{"dynamodb/transact/all-old-in-reasons", reasons, "A reason carries the stored item if the action asked with ALL_OLD.", onTable(transactAllOld)},
		{"dynamodb/transact/condition-check-alone", page, "A ConditionCheck fails on an item that is not as it must be, or not there.", onTable(transactCheckAlone)},
		{"dynamodb/transact/token-repeats", page, "The same request with the same client token is done once and answered again as a success.", transactToken},
		{"dynamodb/transact/token-mismatch", page, "Another request with the same client token is refused with IdempotentParameterMismatchException.", transactTokenMismatch},
		{"dynamodb/transact/token-of-failed", page, "A cancelled transaction leaves no token behind: the same request may succeed later.", onTable(transactTokenFailed)},
	}
}

func transactLimitChecks() []check {
	const page = "TransactWriteItems, Amazon DynamoDB API Reference"
	return []check{
		{"dynamodb/transact-limit/one-item-twice-refused", page, "No two actions may target one item.", onTable(transactTwice)},
		{"dynamodb/transact-limit/100-actions", page, "A transaction has at most 100 actions.", onTable(transact100)},
		{"dynamodb/transact-limit/4-mb", page, "The items of a transaction have at most 4 MB together.", onTable(transact4MB)},
		{"dynamodb/transact-limit/validation-cancels", page, "An action that is invalid refuses the transaction, and nothing is written.", onTable(transactInvalid)},
		{"dynamodb/transact-limit/missing-table-refused", page, "A table that does not exist is refused.",
			func(p *probe) { p.refused(p.transact(transactPut(unique(), key("a"), "")), notFound, "transaction") }},
		{"dynamodb/transact-limit/update-item-size", page, "An update that makes an item too large cancels the transaction.", onTable(transactItemSize)},
	}
}

func transactPut(table string, it item, condition string) types.TransactWriteItem {
	return types.TransactWriteItem{Put: &types.Put{TableName: &table, Item: it, ConditionExpression: optional(condition)}}
}

func transactUpdate(table, pk, expr, condition string, values item) types.TransactWriteItem {
	return types.TransactWriteItem{Update: &types.Update{TableName: &table, Key: key(pk), UpdateExpression: &expr,
		ConditionExpression: optional(condition), ExpressionAttributeValues: values}}
}

func transactCheck(table, pk, condition string) types.TransactWriteItem {
	return types.TransactWriteItem{ConditionCheck: &types.ConditionCheck{TableName: &table, Key: key(pk), ConditionExpression: &condition}}
}

func transactDelete(table, pk, condition string) types.TransactWriteItem {
	return types.TransactWriteItem{Delete: &types.Delete{TableName: &table, Key: key(pk), ConditionExpression: optional(condition)}}
}

func (p *probe) transact(actions ...types.TransactWriteItem) error {
	_, err := p.dynamo.TransactWriteItems(p.ctx, &dynamodb.TransactWriteItemsInput{TransactItems: actions})
	return err
}

// canceledWith wants a cancelled transaction with these reasons: codes, and items where there are.
func (p *probe) canceledWith(err error, want ...string) {
	refusal, ok := errors.AsType[*types.TransactionCanceledException](err)
	if !ok {
		p.failf("got %v, want a TransactionCanceledException", err)
	}
	got := make([]string, len(refusal.CancellationReasons))
	for i, r := range refusal.CancellationReasons {
		got[i] = aws.ToString(r.Code)
		if r.Item != nil {
			got[i] += " " + showItem(r.Item)
		}
	}
	p.equal(want, got, "cancellation reasons")
}

func transactAllKinds(p *probe, table string) {
	p.put(table, item{"pk": str("u"), "n": num("1")}, key("d"), key("c"))
	p.ok(p.transact(
		transactPut(table, item{"pk": str("p"), "n": num("9")}, "attribute_not_exists(pk)"),
		transactUpdate(table, "u", "SET n = n + :one", "n = :one", item{":one": num("1")}),
		transactDelete(table, "d", "attribute_exists(pk)"),
		transactCheck(table, "c", "attribute_exists(pk)"),
	), "transaction")
	p.stored(table, item{"pk": str("p"), "n": num("9")})
	p.stored(table, item{"pk": str("u"), "n": num("2")})
	p.stored(table, key("c"))
	p.sameItem(nil, p.get(table, key("d")), "deleted item")
}

func transactTables(p *probe) {
	first, second := p.table(), p.table()
	p.ok(p.transact(transactPut(first, key("a"), ""), transactPut(second, key("a"), "")), "transaction")
	p.stored(first, key("a"))
	p.stored(second, key("a"))
}

func transactAtomic(p *probe, table string) {
	p.put(table, item{"pk": str("u"), "n": num("1")})
	p.canceledWith(p.transact(
		transactPut(table, key("p"), ""),
		transactUpdate(table, "u", "SET n = :two", "", item{":two": num("2")}),
		transactCheck(table, "c", "attribute_exists(pk)"),
	), "None", "None", "ConditionalCheckFailed")
	p.sameItem(nil, p.get(table, key("p")), "put item")
	p.stored(table, item{"pk": str("u"), "n": num("1")})
}

func transactReasons(p *probe, table string) {
	p.put(table, key("b"), key("d"))
	err := p.transact(
		transactPut(table, key("a"), "attribute_exists(pk)"),
		transactPut(table, key("b"), "attribute_exists(pk)"),
		transactDelete(table, "c", "attribute_exists(pk)"),
		transactCheck(table, "d", "attribute_exists(pk)"),
		transactUpdate(table, "e", "SET n = :n", "n = :n", item{":n": num("1")}),
	)
	p.canceledWith(err, "ConditionalCheckFailed", "None", "ConditionalCheckFailed", "None", "ConditionalCheckFailed")
	p.refusedSaying(err, canceled, "transaction", "[ConditionalCheckFailed, None, ConditionalCheckFailed, None, ConditionalCheckFailed]")
}

func transactAllOld(p *probe, table string) {
	it := item{"pk": str("a"), "n": num("1")}
	p.put(table, it, key("b"))
	allOld := types.ReturnValuesOnConditionCheckFailureAllOld
	put, check := transactPut(table, it, "attribute_not_exists(pk)"), transactCheck(table, "c", "attribute_exists(pk)")
	silent := transactDelete(table, "b", "attribute_exists(n)")
	put.Put.ReturnValuesOnConditionCheckFailure, check.ConditionCheck.ReturnValuesOnConditionCheckFailure = allOld, allOld
	p.canceledWith(p.transact(put, check, silent), "ConditionalCheckFailed "+showItem(it), "ConditionalCheckFailed", "ConditionalCheckFailed")
}

func transactCheckAlone(p *probe, table string) {
	p.put(table, key("a"))
	p.ok(p.transact(transactCheck(table, "a", "attribute_exists(pk)")), "a check that holds")
	p.canceledWith(p.transact(transactCheck(table, "b", "attribute_exists(pk)")), "ConditionalCheckFailed")
	p.sameItem(nil, p.get(table, key("b")), "checked item")
}

func counting(table, token, by string) *dynamodb.TransactWriteItemsInput {
	return &dynamodb.TransactWriteItemsInput{ClientRequestToken: &token,
		TransactItems: []types.TransactWriteItem{transactUpdate(table, "a", "ADD n :n", "", item{":n": num(by)})}}
}

func transactToken(p *probe) {
	table, token := p.table(), unique()
	for range 3 {
		p.ok(errOf(p.dynamo.TransactWriteItems(p.ctx, counting(table, token, "1"))), "transaction")
	}
	p.stored(table, item{"pk": str("a"), "n": num("1")})
	p.ok(errOf(p.dynamo.TransactWriteItems(p.ctx, counting(table, unique(), "1"))), "the same with another token")
	p.stored(table, item{"pk": str("a"), "n": num("2")})
}

func transactTokenMismatch(p *probe) {
	table, token := p.table(), unique()
	p.ok(errOf(p.dynamo.TransactWriteItems(p.ctx, counting(table, token, "1"))), "transaction")
	p.refused(errOf(p.dynamo.TransactWriteItems(p.ctx, counting(table, token, "2"))), "IdempotentParameterMismatchException", "another request with the token")
	p.stored(table, item{"pk": str("a"), "n": num("1")})
}

func transactTokenFailed(p *probe, table string) {
	in := &dynamodb.TransactWriteItemsInput{ClientRequestToken: aws.String(unique()),
		TransactItems: []types.TransactWriteItem{transactUpdate(table, "a", "SET x = :n", "attribute_exists(n)", item{":n": num("1")})}}
	_, err := p.dynamo.TransactWriteItems(p.ctx, in)
	p.canceledWith(err, "ConditionalCheckFailed")
	p.put(table, item{"pk": str("a"), "n": num("1")})
	p.ok(errOf(p.dynamo.TransactWriteItems(p.ctx, in)), "the same once its condition holds")
	p.stored(table, item{"pk": str("a"), "n": num("1"), "x": num("1")})
}

func transactTwice(p *probe, table string) {
	err := p.transact(transactPut(table, key("a"), ""), transactPut(table, key("b"), ""), transactCheck(table, "a", "attribute_exists(pk)"))
	p.refusedSaying(err, invalid, "transaction", "multiple operations")
	p.sameItem(nil, p.get(table, key("b")), "item")
}

func transact100(p *probe, table string) {
	puts := func(n int) []types.TransactWriteItem {
		var actions []types.TransactWriteItem
		for _, k := range keysUpTo(n) {
			actions = append(actions, transactPut(table, k, ""))
		}
		return actions
	}
	p.refused(p.transact(puts(101)...), invalid, "101 actions")
	p.equal(0, len(p.scanned(&dynamodb.ScanInput{TableName: &table})), "items")
	p.ok(p.transact(puts(100)...), "100 actions")
	p.equal(100, len(p.scanned(&dynamodb.ScanInput{TableName: &table})), "items")
}

func transact4MB(p *probe, table string) {
	puts := func(n int) []types.TransactWriteItem {
		var actions []types.TransactWriteItem
		for i := range n {
			it := sized(390 << 10)
			it["pk"] = str(string(rune('a' + i)))
			actions = append(actions, transactPut(table, it, ""))
		}
		return actions
	}
	p.ok(p.transact(puts(10)...), "3.9 MB")
	p.refused(p.transact(puts(11)...), invalid, "4.3 MB")
}

func transactInvalid(p *probe, table string) {
	err := p.transact(transactPut(table, key("a"), ""), transactUpdate(table, "b", "SET pk = :v", "", item{":v": str("c")}))
	p.refused(err, invalid+"|"+canceled, "a transaction that updates a key")
	err = p.transact(transactPut(table, key("a"), ""), transactPut(table, item{"x": str("a")}, ""))
	p.refused(err, invalid+"|"+canceled, "a transaction that puts an item without key")
	p.sameItem(nil, p.get(table, key("a")), "item")
}

func transactItemSize(p *probe, table string) {
	p.put(table, sized(300<<10))
	err := p.transact(transactPut(table, key("b"), ""), transactUpdate(table, "a", "SET e = :e", "", item{":e": str(strings.Repeat("y", 101<<10))}))
	p.refused(err, invalid+"|"+canceled, "transaction")
	p.sameItem(nil, p.get(table, key("b")), "other item")
}

func raceChecks() []check {
	const page = "Condition expressions, Amazon DynamoDB Developer Guide"
	return []check{
		{"dynamodb/race/conditional-put", page, "Of 64 conditional puts at a time exactly one wins.", onTable(racePut)},
		{"dynamodb/race/counter", "Atomic counters, Amazon DynamoDB Developer Guide", "64 increments at a time add up to 64.", onTable(raceCounter)},
		{"dynamodb/race/transaction", "Amazon DynamoDB Transactions: How it works, Developer Guide", "Of 64 transactions at a time that insert one item exactly one wins, whole.", onTable(raceTransaction)},
	}
}

const racers = 64

// race runs f by all racers at a time and counts those that end without error;
// the others' errors must have one of the codes.
func (p *probe) race(codes string, f func(i int) error) int {
	var won atomic.Int64
	start, errs := make(chan struct{}), make([]error, racers)
	var all sync.WaitGroup
	for i := range racers {
		all.Go(func() {
			<-start
			if errs[i] = f(i); errs[i] == nil {
				won.Add(1)
			}
		})
	}
	close(start)
	all.Wait()
	for _, err := range errs {
		if err != nil {
			p.refused(err, codes, "racer")
		}
	}
	return int(won.Load())
}

func racePut(p *probe, table string) {
	won := p.race(conditionFailed, func(i int) error {
		return p.insertOnce(table, item{"pk": str("a"), "who": num(fmt.Sprint(i))}, false)
	})
	p.equal(1, won, "winners")
}

func raceCounter(p *probe, table string) {
	won := p.race("", func(int) error {
		_, err := p.update(table, change{set: "ADD n :one", values: item{":one": num("1")}})
		return err
	})
	p.equal(racers, won, "increments")
	p.stored(table, item{"pk": str("a"), "n": num(fmt.Sprint(racers))})
}

func raceTransaction(p *probe, table string) {
	won := p.race(canceled+"|TransactionInProgressException", func(i int) error {
		return p.transact(
			transactUpdate(table, fmt.Sprint("effect", i), "ADD n :one", "", item{":one": num("1")}),
			transactPut(table, item{"pk": str("lock"), "who": num(fmt.Sprint(i))}, "attribute_not_exists(pk)"))
	})
	// Conflicts alone may leave no winner at first; whoever tries again then wins.
	if won == 0 {
		p.ok(p.transact(transactPut(table, key("lock"), "attribute_not_exists(pk)"), transactPut(table, key("effect"), "")), "transaction after the race")
		won = 1
	}
	p.equal(1, won, "winners")
	p.equal(2, len(p.scanned(&dynamodb.ScanInput{TableName: &table})), "items: the lock and one effect")
}
