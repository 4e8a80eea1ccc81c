package overview

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"

	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/handlers"
	"tollgate/pkg/local"
	"tollgate/pkg/local/timeseries"
)

// source answers with what a system counted in a window.
type source interface {
	Series(ctx context.Context, w timeseries.Window) (timeseries.Data, error)
}

// counts is a system's source, and what a page says of it.
type counts struct {
	source
	dollars float64 // of one answer, at most; 0 for a local system
	typed   bool    // it counts by event type
}

// countsOf returns the local system's own counts, or CloudWatch's. A stage counts by event type if
// its consumer is configured so.
func countsOf(ctx context.Context, t verb.Target) (counts, error) {
	if t.Local {
		return counts{source: recorded{t.URL}, typed: true}, nil
	}
	name, known := strings.CutPrefix(t.Prefix(), "tollgate-")
	if !known {
		return counts{}, verb.Hint(fmt.Errorf("the stage of queue %s is unknown, and so are its metrics", path.Base(t.QueueURL)), "name the stack with --stack")
	}
	s := stage{name: name, events: path.Base(t.QueueURL), dead: path.Base(t.DLQURL), sends: t.SendDLQURL != ""}
	variables, err := t.Variables(ctx, "consumer")
	if err != nil {
		return counts{}, err
	}
	typed := variables["TOLLGATE_EVENT_METRICS"] == "true"
	if typed {
		s.types = handlers.Types()
	}
	c := newCloudWatch(cloudwatch.NewFromConfig(t.AWS), s)
	return counts{source: c, dollars: c.dollars(), typed: typed}, nil
}

// recorded is the source of a local system: the process that runs it, with the URL of deliveries.
type recorded struct{ url string }

// maxAnswer bounds a source's answer; one of 2,000 series has some 5 MB.
const maxAnswer = 32 << 20

// Series asks the process.
func (s recorded) Series(ctx context.Context, w timeseries.Window) (d timeseries.Data, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, local.SeriesURL(s.url)+"?"+local.SeriesQuery(w), nil)
	if err != nil {
		return d, fmt.Errorf("read the local system's counts: %w", err)
	}
	answer, err := (&http.Client{Timeout: 5 * time.Second}).Do(request)
	if err != nil {
		return d, fmt.Errorf("read the local system's counts: does tollgate dev run? %w", err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return d, fmt.Errorf("read the local system's counts: status %d: tollgate dev may be of another release: start it again", answer.StatusCode)
	}
	if err := json.NewDecoder(io.LimitReader(answer.Body, maxAnswer)).Decode(&d); err != nil {
		return d, fmt.Errorf("read the local system's counts: %w", err)
	}
	for _, series := range d.Series {
		if len(series.Values) != w.Steps {
			return d, fmt.Errorf("read the local system's counts: %s has %d values for %d steps", series.Name, len(series.Values), w.Steps)
		}
	}
	return d, nil
}
