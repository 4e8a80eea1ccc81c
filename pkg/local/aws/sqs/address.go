package sqs

import (
	"cmp"
	"context"
	"net/http"
	"strings"

	"tollgate/pkg/local/aws/awsjson"
)

// queueURL is where a queue is reached: the configured base, or the host that the caller used.
func (s *Service) queueURL(ctx context.Context, name string) string {
	base := strings.TrimSuffix(s.opts.BaseURL, "/")
	if base == "" {
		base = "http://" + cmp.Or(awsjson.RequestHost(ctx), "localhost")
	}
	return base + "/" + s.opts.Account + "/" + name
}

func (e *engine) arn(name string) string {
	return "arn:aws:sqs:" + e.opts.Region + ":" + e.opts.Account + ":" + name
}

// byURL finds a queue by the last two elements of its URL's path, whatever the host.
func (t *turn) byURL(url string) (*queue, error) {
	if url == "" {
		return nil, errMissing("QueueUrl")
	}
	parts := strings.Split(url, "/")
	if len(parts) < 2 {
		return nil, fault(http.StatusNotFound, "", "InvalidAddress", "The address %s is not valid for this endpoint.", url)
	}
	q := t.queues[parts[len(parts)-1]]
	if q == nil || parts[len(parts)-2] != t.opts.Account {
		return nil, errQueueDoesNotExist()
	}
	t.touch(q)
	return q, nil
}

// byARN finds a queue, nil when there is none.
func (t *turn) byARN(arn string) *queue {
	name, ours := strings.CutPrefix(arn, t.arn(""))
	if !ours || t.queues[name] == nil {
		return nil
	}
	t.touch(t.queues[name])
	return t.queues[name]
}

// touch brings a queue up to now: ends timeouts and deletes what is too old.
func (t *turn) touch(q *queue) {
	q.reveal(t.now)
	keep := t.span(q.settings.retention)
	for m := q.byAge.top(); m != nil && m.Sent+keep <= t.now; m = q.byAge.top() {
		t.deleteMessage(q, m)
	}
}
