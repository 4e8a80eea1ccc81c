package sqs

import (
	"cmp"
	"context"
	"net/http"
	"strings"

	"tollgate/pkg/local/aws/awsjson"
)

// queueURL begins with the host that the caller used.
func queueURL(ctx context.Context, name string) string {
	return "http://" + cmp.Or(awsjson.RequestHost(ctx), "localhost") + "/" + awsjson.Account + "/" + name
}

func (e *engine) arn(name string) string {
	return awsjson.ARN("sqs", name)
}

// byURL finds a queue by the last two elements of its URL's path; the host is ignored.
func (t *turn) byURL(url string) (*queue, error) {
	if url == "" {
		return nil, errMissing("QueueUrl")
	}
	parts := strings.Split(url, "/")
	if len(parts) < 2 {
		return nil, fault(http.StatusNotFound, "", "InvalidAddress", "The address %s is not valid for this endpoint.", url)
	}
	q := t.queues[parts[len(parts)-1]]
	if q == nil || parts[len(parts)-2] != awsjson.Account {
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
