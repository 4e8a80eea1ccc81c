package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// done reads the log of tollgate dev and notes when each event was done.
type done struct {
	mu   sync.Mutex
	rest []byte               // a line whose end is to come
	at   map[string]time.Time // by the event's number
	id   string               // of one event that is done
	note string               // the last line that is neither an event's nor a delivery's
}

func newDone() *done { return &done{at: map[string]time.Time{}} }

func (d *done) Write(p []byte) (int, error) {
	now := time.Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.rest = append(d.rest, p...)
	for {
		line, rest, found := bytes.Cut(d.rest, []byte("\n"))
		if !found {
			d.rest = bytes.Clone(d.rest)
			return len(p), nil
		}
		d.line(string(line), now)
		d.rest = rest
	}
}

func (d *done) line(line string, now time.Time) {
	_, event, ours := strings.Cut(line, " consumer event event_id=")
	id, _, _ := strings.Cut(event, " ")
	_, outcome, _ := strings.Cut(event, " outcome=")
	outcome, _, _ = strings.Cut(outcome, " ")
	switch {
	case ours && slices.Contains([]string{"applied", "ignored", "stale"}, outcome):
		if number := strings.TrimPrefix(strings.TrimPrefix(id, "evt_"), "1"); len(number) >= numberDigits {
			d.at[number[:numberDigits]], d.id = now, id
		}
	case !strings.Contains(line, " INFO "):
		d.note = line
	}
}

func (d *done) last() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.id
}

// quiet is how long the log may have no new event before the rest is lost.
const quiet = 30 * time.Second

// all waits until every accepted event of a load is done, and returns when the last one was.
func (d *done) all(ctx context.Context, l *load) (last time.Time, err error) {
	numbers := slices.Collect(maps.Keys(l.sent))
	for moved := time.Now(); ; {
		d.mu.Lock()
		before := len(numbers)
		numbers = slices.DeleteFunc(numbers, func(n string) bool {
			at, ok := d.at[n]
			if ok && at.After(last) {
				last = at
			}
			return ok
		})
		note := d.note
		d.mu.Unlock()
		switch {
		case len(numbers) == 0:
			return last, nil
		case len(numbers) < before:
			moved = time.Now()
		case ctx.Err() != nil:
			return last, errors.New("interrupted")
		case time.Since(moved) > quiet:
			return last, fmt.Errorf("%d of %d events were not done; the log says: %s", len(numbers), len(l.sent), note)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// latency is the time from the moment an event was due to the line of its end.
func (d *done) latency(l *load) *hdrhistogram.Histogram {
	h := histogram()
	d.mu.Lock()
	defer d.mu.Unlock()
	for number, due := range l.sent {
		_ = h.RecordValue(min(h.HighestTrackableValue(), max(1, d.at[number].Sub(due).Microseconds())))
	}
	return h
}

// fill writes copies of a done event's record to the table.
func fill(ctx context.Context, p *process, id string, n int) error {
	client := dynamodb.NewFromConfig(p.AWSConfig())
	key := func(id string) map[string]types.AttributeValue {
		return map[string]types.AttributeValue{"pk": &types.AttributeValueMemberS{Value: "EVT#" + id}}
	}
	got, err := client.GetItem(ctx, &dynamodb.GetItemInput{TableName: &p.Table, Key: key(id)})
	if err != nil || got.Item == nil {
		return fmt.Errorf("read the record of %s: %w", id, err)
	}
	const most = 100 // of a transaction
	for at := 0; at < n; at += most {
		var puts []types.TransactWriteItem
		for i := at; i < min(n, at+most); i++ {
			item := maps.Clone(got.Item)
			maps.Copy(item, key(fmt.Sprintf("evt_filled%010d", i)))
			puts = append(puts, types.TransactWriteItem{Put: &types.Put{TableName: aws.String(p.Table), Item: item}})
		}
		if _, err := client.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: puts}); err != nil {
			return fmt.Errorf("fill the table: %w", err)
		}
	}
	return nil
}
