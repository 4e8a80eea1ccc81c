package sqs

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"reflect"
	"slices"

	"tollgate/pkg/local/aws/awsjson"
)

// nameBlockedSeconds is how long DeleteQueue blocks a name, and how long a purge blocks the next one.
const nameBlockedSeconds = 60

type createQueueInput struct {
	QueueName  string
	Attributes map[string]string
	Tags       map[string]string `json:"tags"`
}

type queueURLOutput struct{ QueueUrl string }

func (s *Service) createQueue(ctx context.Context, in createQueueInput) (queueURLOutput, error) {
	if err := checkQueueName(in.QueueName); err != nil {
		return queueURLOutput{}, err
	}
	attributes := mergeAttributes(defaultAttributes(), in.Attributes)
	set, err := parseSettings(attributes)
	if err != nil {
		return queueURLOutput{}, err
	}
	err = s.do(func(t *turn) error {
		if q := t.queues[in.QueueName]; q != nil {
			return sameQueue(q, in.Attributes)
		}
		if at, ok := t.deleted[in.QueueName]; ok && t.now < at+t.span(nameBlockedSeconds) {
			return fault(http.StatusBadRequest, queryPrefix, "QueueDeletedRecently",
				"You must wait 60 seconds after deleting a queue before you can create another with the same name.")
		}
		if err := t.checkRedrive(in.QueueName, set); err != nil {
			return err
		}
		return t.create(queueRecord{Name: in.QueueName, Created: t.now, Modified: t.now,
			Attributes: attributes, Tags: in.Tags})
	})
	return queueURLOutput{queueURL(ctx, in.QueueName)}, err
}

func checkQueueName(name string) error {
	if name == "" {
		return errMissing("QueueName")
	}
	if len(name) > 80 || !only(name, isQueueNameChar) {
		return errInvalidParameter("Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length")
	}
	return nil
}

// sameQueue allows CreateQueue for an existing queue if no attribute differs.
func sameQueue(q *queue, attributes map[string]string) error {
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		if !sameValue(attributes[name], q.Attributes[name]) {
			return errQueueNameExists(name)
		}
	}
	return nil
}

// sameValue compares attributes; policies are compared as JSON.
func sameValue(a, b string) bool {
	var x, y any
	if a == b {
		return true
	}
	if json.Unmarshal([]byte(a), &x) != nil || json.Unmarshal([]byte(b), &y) != nil {
		return false
	}
	return reflect.DeepEqual(x, y)
}

// checkRedrive checks that the target of a redrive policy exists and is another queue.
func (t *turn) checkRedrive(name string, set settings) error {
	if set.redrive == nil {
		return nil
	}
	target := t.byARN(set.redrive.target)
	refuse := func(why string) error {
		return errInvalidParameter("Value %s for parameter RedrivePolicy is invalid. Reason: %s", set.redrive.target, why)
	}
	if target == nil && set.redrive.target != t.arn(name) {
		return refuse("Dead letter target does not exist.")
	}
	if target == nil || target.Name == name {
		return refuse("A queue cannot be its own dead letter target.")
	}
	return nil
}

func (t *turn) create(r queueRecord) error {
	q, err := newQueue(t.next(bucketQueues), r)
	if err != nil || !t.begin() {
		return err
	}
	t.makeBuckets(q)
	t.queues[r.Name] = q
	delete(t.deleted, r.Name)
	t.remove(bucketDeleted, []byte(r.Name))
	t.putJSON(bucketQueues, key(q.id), q.queueRecord)
	return nil
}

type queueInput struct{ QueueUrl string }

func (s *Service) deleteQueue(_ context.Context, in queueInput) (nothing, error) {
	return nothing{}, s.onQueue(in.QueueUrl, func(t *turn, q *queue) error {
		for _, w := range q.waiters {
			t.end(w.call, errQueueDoesNotExist())
		}
		delete(t.queues, q.Name)
		t.deleted[q.Name] = t.now
		t.put(bucketDeleted, []byte(q.Name), key(uint64(t.now)))
		t.remove(bucketQueues, key(q.id))
		t.dropMessages(q)
		return nil
	})
}

// makeBuckets makes the buckets of a queue's messages.
func (t *turn) makeBuckets(q *queue) {
	for _, parent := range []string{bucketPayload, bucketState} {
		if t.begin() {
			_, err := t.tx.Bucket([]byte(parent)).CreateBucket(key(q.id))
			t.fail(err)
		}
	}
}

func (t *turn) dropMessages(q *queue) {
	q.empty()
	for _, parent := range []string{bucketPayload, bucketState} {
		if t.begin() {
			t.fail(t.tx.Bucket([]byte(parent)).DeleteBucket(key(q.id)))
		}
	}
}

func (s *Service) purgeQueue(_ context.Context, in queueInput) (nothing, error) {
	return nothing{}, s.onQueue(in.QueueUrl, func(t *turn, q *queue) error {
		if q.Purged != 0 && t.now < q.Purged+t.span(nameBlockedSeconds) {
			return fault(http.StatusForbidden, queryPrefix, "PurgeQueueInProgress",
				"Only one PurgeQueue operation on %s is allowed every 60 seconds.", q.Name)
		}
		q.Purged = t.now
		t.dropMessages(q)
		t.makeBuckets(q)
		t.putJSON(bucketQueues, key(q.id), q.queueRecord)
		return nil
	})
}

type getQueueURLInput struct{ QueueName, QueueOwnerAWSAccountId string }

func (s *Service) getQueueURL(ctx context.Context, in getQueueURLInput) (queueURLOutput, error) {
	if in.QueueName == "" {
		return queueURLOutput{}, errMissing("QueueName")
	}
	err := s.do(func(t *turn) error {
		ours := in.QueueOwnerAWSAccountId == "" || in.QueueOwnerAWSAccountId == awsjson.Account
		if !ours || t.queues[in.QueueName] == nil {
			return errQueueDoesNotExist()
		}
		return nil
	})
	return queueURLOutput{queueURL(ctx, in.QueueName)}, err
}
