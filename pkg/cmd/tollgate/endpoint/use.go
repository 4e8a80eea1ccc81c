package endpoint

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"

	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/limits"
)

const (
	useFor   = time.Hour // the time of which deliveries are read
	usePages = 5         // FilterLogEvents allows few calls a second in an account
	useTime  = 8 * time.Second
)

// Use counts which of an endpoint's secrets verified deliveries, by ingest's log.
type Use struct {
	Since      time.Time
	Deliveries map[int]int // by the secret's place in the list at that time
	Last       map[int]time.Time
	Read       int  // deliveries of all endpoints
	More       bool // there are later ones that were not read
}

// UseOf reads the deliveries since a time.
func UseOf(ctx context.Context, t verb.Target, endpoint string, since time.Time) (Use, error) {
	ctx, cancel := context.WithTimeout(ctx, useTime)
	defer cancel()
	u := Use{Since: since, Deliveries: map[int]int{}, Last: map[int]time.Time{}}
	group := limits.LogGroup(t.Prefix(), "ingest")
	in := &cloudwatchlogs.FilterLogEventsInput{
		LogGroupName: &group, FilterPattern: aws.String(`{ $.outcome = "enqueued" }`), StartTime: aws.Int64(u.Since.UnixMilli()),
	}
	client := cloudwatchlogs.NewFromConfig(t.AWS)
	for range usePages {
		out, err := client.FilterLogEvents(ctx, in)
		if err != nil {
			return u, verb.Hint(fmt.Errorf("search log group %s: %w", group, err), "may these credentials call logs:FilterLogEvents on it?")
		}
		for _, e := range out.Events {
			u.add(endpoint, time.UnixMilli(aws.ToInt64(e.Timestamp)), aws.ToString(e.Message))
		}
		if in.NextToken = out.NextToken; in.NextToken == nil {
			break
		}
	}
	u.More = in.NextToken != nil
	return u, nil
}

// add counts a line of ingest about a delivery.
func (u *Use) add(endpoint string, at time.Time, text string) {
	var line struct {
		Endpoint   string `json:"endpoint"`
		VerifiedBy string `json:"verified_by"`
	}
	if json.Unmarshal([]byte(text), &line) != nil {
		return
	}
	index, err := strconv.Atoi(line.VerifiedBy)
	if err != nil || index < 0 {
		return
	}
	u.Read++
	if line.Endpoint != endpoint {
		return
	}
	u.Deliveries[index]++
	if at.After(u.Last[index]) {
		u.Last[index] = at
	}
}
