package events

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"

	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/limits"
	"tollgate/pkg/telemetry"
)

// Logged is what the functions' logs have of an event in a time.
type Logged struct {
	Deliveries []Delivery `json:"deliveries"`
	Receives   []Receive  `json:"receives"`
	From       time.Time  `json:"from"`
	Until      time.Time  `json:"until"`
	More       bool       `json:"more"` // the search ended before it had read all lines of that time
}

// Delivery is one HTTP request by Stripe whose signature verified, or that failed afterwards.
type Delivery struct {
	At         time.Time `json:"at"`
	Endpoint   string    `json:"endpoint"`
	Outcome    string    `json:"outcome"` // enqueued or failed
	Error      string    `json:"error,omitempty"`
	VerifiedBy string    `json:"verified_by"` // index of the signing secret in the endpoint's list
	MessageID  string    `json:"message_id"`
	RequestID  string    `json:"request_id"`
}

// Receive is one receive of a message of the event by the consumer.
type Receive struct {
	At        time.Time `json:"at"` // of its end
	Outcome   string    `json:"outcome"`
	Reason    string    `json:"reason,omitempty"`
	Error     string    `json:"error,omitempty"`
	Attempt   int64     `json:"attempt"`
	Receives  int64     `json:"receives"` // of the message, this one included
	Millis    *int64    `json:"handler_ms"`
	RetryIn   *int64    `json:"retry_in_ms"`
	Endpoint  string    `json:"endpoint"`
	MessageID string    `json:"message_id"`
	RequestID string    `json:"request_id"`
}

const (
	maxLogPages = 10 // FilterLogEvents allows few calls a second in an account
	maxLogTime  = 8 * time.Second
	maxLogLines = 500 // of one function
)

// ErrNoLog: the log group is not there, or the caller may not search it.
var ErrNoLog = errors.New("the functions' logs cannot be searched")

// Search reads the lines of ingest and of the consumer about an event. It stops after a few
// seconds, and then reports More.
func Search(ctx context.Context, t verb.Target, id string, from, until time.Time) (Logged, error) {
	l := Logged{From: from, Until: until, Deliveries: []Delivery{}, Receives: []Receive{}}
	if !regexp.MustCompile(`^[A-Za-z0-9_]{1,200}$`).MatchString(id) {
		return l, nil // no event of Stripe's: the pattern would need quotes
	}
	client := cloudwatchlogs.NewFromConfig(t.AWS)
	for _, function := range []string{"ingest", "consumer"} {
		lines, more, err := search(ctx, client, limits.LogGroup(t.Prefix(), function), id, from, until)
		if err != nil {
			return l, err
		}
		l.More = l.More || more
		for _, e := range lines {
			l.add(time.UnixMilli(aws.ToInt64(e.Timestamp)).UTC(), []byte(aws.ToString(e.Message)), id)
		}
	}
	slices.SortStableFunc(l.Deliveries, func(a, b Delivery) int { return a.At.Compare(b.At) })
	slices.SortStableFunc(l.Receives, func(a, b Receive) int { return a.At.Compare(b.At) })
	return l, nil
}

// search returns the lines of a log group with an event's id.
func search(ctx context.Context, client *cloudwatchlogs.Client, group, id string, from, until time.Time) (lines []types.FilteredLogEvent, more bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, maxLogTime)
	defer cancel()
	in := &cloudwatchlogs.FilterLogEventsInput{
		LogGroupName: &group, FilterPattern: aws.String(fmt.Sprintf(`{ $.event_id = "%s" }`, id)),
		StartTime: aws.Int64(from.UnixMilli()), EndTime: aws.Int64(until.UnixMilli()),
	}
	for range maxLogPages {
		out, err := client.FilterLogEvents(ctx, in)
		switch {
		case err != nil && ctx.Err() != nil && len(lines) > 0:
			return lines, true, nil
		case err != nil:
			return nil, false, verb.Hint(fmt.Errorf("search log group %s: %w: %w", group, ErrNoLog, err), "may these credentials call logs:FilterLogEvents on it? The record is complete without the log")
		}
		lines = append(lines, out.Events...)
		if in.NextToken = out.NextToken; in.NextToken == nil || len(lines) >= maxLogLines {
			break
		}
	}
	return lines[:min(len(lines), maxLogLines)], in.NextToken != nil, nil
}

// line has the members of a delivery's and a message's line that are read.
type line struct {
	Message    string `json:"message"`
	EventID    string `json:"event_id"`
	Endpoint   string `json:"endpoint"`
	Outcome    string `json:"outcome"`
	Reason     string `json:"reason"`
	Error      string `json:"error"`
	VerifiedBy string `json:"verified_by"`
	MessageID  string `json:"message_id"`
	RequestID  string `json:"request_id"`
	Attempt    int64  `json:"attempt"`
	Receives   int64  `json:"receives"`
	Millis     *int64 `json:"handler_ms"`
	RetryIn    *int64 `json:"retry_in_ms"`
}

// add adds a line; one of another form or event adds nothing.
func (l *Logged) add(at time.Time, text []byte, id string) {
	var in line
	if json.Unmarshal(text, &in) != nil || in.EventID != id {
		return
	}
	switch in.Message {
	case telemetry.DeliveryMessage:
		l.Deliveries = append(l.Deliveries, Delivery{at, in.Endpoint, in.Outcome, in.Error, in.VerifiedBy, in.MessageID, in.RequestID})
	case telemetry.EventMessage:
		l.Receives = append(l.Receives, Receive{at, in.Outcome, in.Reason, in.Error, in.Attempt, in.Receives, in.Millis, in.RetryIn, in.Endpoint, in.MessageID, in.RequestID})
	}
}
