package conformance

import (
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"
	"pgregory.net/rapid"
)

// outcome is the result of a case.
type outcome struct {
	decision string // accepted, or the refusal's code
	message  string // of a refusal; for people, never compared
	after    string // the item as it is stored now
}

const accepted = "accepted"

// contender is one of the two services with a table of its own.
type contender struct {
	client *dynamodb.Client
	table  string
}

// try puts the case's item and then changes it.
func (c contender) try(ctx context.Context, e expressionCase, pk string) (outcome, error) {
	if _, err := c.client.PutItem(ctx, &dynamodb.PutItemInput{TableName: &c.table, Item: with(e.item, key(pk))}); err != nil {
		return outcome{}, fmt.Errorf("put item: %w", err)
	}
	in := change{key: key(pk), set: e.update, cond: e.cond, ret: types.ReturnValueAllNew}.input(c.table)
	if len(e.names) > 0 {
		in.ExpressionAttributeNames = e.names
	}
	if len(e.values) > 0 {
		in.ExpressionAttributeValues = e.values
	}
	out, err := c.client.UpdateItem(ctx, in)
	if err == nil {
		return outcome{decision: accepted, after: showItem(out.Attributes)}, nil
	}
	refusal, ok := errors.AsType[smithy.APIError](err)
	if !ok {
		return outcome{}, fmt.Errorf("update item: %w", err)
	}
	got, err := c.client.GetItem(ctx, &dynamodb.GetItemInput{TableName: &c.table, Key: key(pk), ConsistentRead: aws.Bool(true)})
	if err != nil {
		return outcome{}, fmt.Errorf("get item: %w", err)
	}
	return outcome{refusal.ErrorCode(), refusal.ErrorMessage(), showItem(got.Item)}, nil
}

// duel holds both contenders; it may be used from several goroutines, each with a key of its own.
type duel struct{ embedded, dynalite contender }

func newDuel(t testing.TB) duel {
	return duel{
		newContender(t, localTarget(t, "embedded", startEmbedded(t), nil, "dynamodb")),
		newContender(t, localTarget(t, "dynalite", startDynalite(t), nil, "dynamodb")),
	}
}

// compare gives the case to both and says how they differ, nil if they agree or differ for a known reason.
func (d duel) compare(ctx context.Context, e expressionCase, pk string) error {
	ours, ourErr := d.embedded.try(ctx, e, pk)
	theirs, theirErr := d.dynalite.try(ctx, e, pk)
	if err := errors.Join(ourErr, theirErr); err != nil {
		return fmt.Errorf("%s\n%w", e, err)
	}
	if ours.decision == theirs.decision && ours.after == theirs.after || knownDifference(e, ours, theirs) != "" {
		return nil
	}
	return fmt.Errorf("%s\nembedded %+v\ndynalite %+v", e, ours, theirs)
}

func newContender(t testing.TB, target *target) contender {
	t.Helper()
	c := contender{client: target.probe(t.Context()).dynamo, table: unique()}
	if _, err := c.client.CreateTable(t.Context(), schema{}.input(c.table)); err != nil {
		t.Fatalf("create table at %s: %v", target.name, err)
	}
	deadline := time.Now().Add(target.patience)
	for {
		out, err := c.client.DescribeTable(t.Context(), &dynamodb.DescribeTableInput{TableName: &c.table})
		if err == nil && out.Table.TableStatus == types.TableStatusActive {
			return c
		}
		if time.Now().After(deadline) {
			t.Fatalf("table at %s is not active: %v", target.name, err)
		}
	}
}

// knownDifference says why two outcomes may differ, empty if they may not. The
// documentation is on the embedded side, or on none where that is said.
func knownDifference(e expressionCase, ours, theirs outcome) string {
	documents := strings.ContainsAny(showItem(e.item)+showItem(e.values), "[{")
	switch {
	case ours.decision == accepted && theirs.decision == accepted && e.copies && e.actions > 1 && documents:
		return "dynalite does not copy a list or map that SET takes from another attribute: a later action of the update changes both"
	case ours.decision != theirs.decision && strings.Contains(e.cond, "attribute_type") && strings.Contains(showItem(e.item), "false"):
		return "dynalite's attribute_type does not see an attribute that is false"
	case ours.decision != theirs.decision && strings.Contains(e.cond, "size(") && strings.Contains(showItem(e.item), "é"):
		return "the documentation gives size of a string as its length, not in what: dynalite counts UTF-16 units, the embedded service bytes of UTF-8"
	}
	return ""
}

// TestExpressionsAgainstDynalite compares the cases number 0 to 1999, the same in
// every run; -expressions N makes it N of them.
func TestExpressionsAgainstDynalite(t *testing.T) {
	const workers = 16
	d, drawn, cases := newDuel(t), rapid.Custom(drawCase), expressionCount(t)
	var next atomic.Int64
	var all sync.WaitGroup
	for w := range workers {
		all.Go(func() {
			for n := int(next.Add(1)) - 1; n < cases && !t.Failed(); n = int(next.Add(1)) - 1 {
				if err := d.compare(t.Context(), drawn.Example(n), fmt.Sprint("worker ", w)); err != nil {
					t.Errorf("case %d\n%v", n, err)
				}
			}
		})
	}
	all.Wait()
}

func expressionCount(t *testing.T) int {
	n, err := strconv.Atoi(flag.Lookup(expressionsFlag).Value.String())
	if err != nil || n < 1 {
		t.Fatalf("-%s is not a number of cases", expressionsFlag)
	}
	return n
}

// FuzzExpressionsAgainstDynalite compares cases that the fuzzer draws, for as long as -fuzztime says.
func FuzzExpressionsAgainstDynalite(f *testing.F) {
	for seed := range uint64(8) {
		random, draws := rand.New(rand.NewPCG(seed, 0)), make([]byte, 0, 32<<10)
		for len(draws) < cap(draws) {
			draws = binary.LittleEndian.AppendUint64(draws, random.Uint64())
		}
		f.Add(draws)
	}
	d := newDuel(f)
	f.Fuzz(rapid.MakeFuzz(func(t *rapid.T) {
		if err := d.compare(t.Context(), rapid.Custom(drawCase).Draw(t, "case"), "fuzz"); err != nil {
			t.Fatal(err)
		}
	}))
}
