package sqs

import (
	"context"
	"maps"
	"strconv"
	"time"
)

type getAttributesInput struct {
	QueueUrl       string
	AttributeNames []string
}

type getAttributesOutput struct {
	Attributes map[string]string `json:",omitempty"`
}

func (s *Service) getQueueAttributes(_ context.Context, in getAttributesInput) (getAttributesOutput, error) {
	var out getAttributesOutput
	err := s.onQueue(in.QueueUrl, func(t *turn, q *queue) error {
		var err error
		out.Attributes, err = chooseAttributes(t.describe(q), in.AttributeNames)
		return err
	})
	return out, err
}

// describe returns all attributes of a queue.
func (t *turn) describe(q *queue) map[string]string {
	all := maps.Clone(q.Attributes)
	all["QueueArn"] = t.arn(q.Name)
	all["CreatedTimestamp"] = strconv.FormatInt(q.Created/int64(time.Second), 10)
	all["LastModifiedTimestamp"] = strconv.FormatInt(q.Modified/int64(time.Second), 10)
	all["ApproximateNumberOfMessages"] = strconv.Itoa(q.ready.len())
	all["ApproximateNumberOfMessagesNotVisible"] = strconv.Itoa(q.inFlight())
	all["ApproximateNumberOfMessagesDelayed"] = strconv.Itoa(q.delayed)
	return all
}

func chooseAttributes(all map[string]string, names []string) (map[string]string, error) {
	chosen := make(map[string]string)
	for _, name := range names {
		value, has := all[name]
		switch {
		case name == "All":
			maps.Copy(chosen, all)
		case has:
			chosen[name] = value
		case name == "Policy", name == "RedrivePolicy", name == "RedriveAllowPolicy",
			name == "KmsMasterKeyId", name == "KmsDataKeyReusePeriodSeconds":
			// known and not set
		default:
			return nil, errAttributeName(name)
		}
	}
	return chosen, nil
}

type setAttributesInput struct {
	QueueUrl   string
	Attributes map[string]string
}

func (s *Service) setQueueAttributes(_ context.Context, in setAttributesInput) (nothing, error) {
	if in.Attributes == nil {
		return nothing{}, errMissing("Attributes")
	}
	return nothing{}, s.onQueue(in.QueueUrl, func(t *turn, q *queue) error {
		merged := mergeAttributes(q.Attributes, in.Attributes)
		set, err := parseSettings(merged)
		if err != nil {
			return err
		}
		if in.Attributes["RedrivePolicy"] != "" {
			if err := t.checkRedrive(q.Name, set); err != nil {
				return err
			}
		}
		q.Attributes, q.settings, q.Modified = merged, set, t.now
		t.putJSON(bucketQueues, key(q.id), q.queueRecord)
		t.touch(q) // a shorter retention takes effect at once
		return nil
	})
}

type tagInput struct {
	QueueUrl string
	Tags     map[string]string
}

const maxTags = 50

func (s *Service) tagQueue(_ context.Context, in tagInput) (nothing, error) {
	if len(in.Tags) == 0 {
		return nothing{}, errMissing("Tags")
	}
	return nothing{}, s.onQueue(in.QueueUrl, func(t *turn, q *queue) error {
		tags := make(map[string]string)
		maps.Copy(tags, q.Tags)
		maps.Copy(tags, in.Tags)
		if len(tags) > maxTags {
			return errInvalidParameter("Too many tags for queue %s: at most %d.", q.Name, maxTags)
		}
		q.Tags = tags
		t.putJSON(bucketQueues, key(q.id), q.queueRecord)
		return nil
	})
}

type untagInput struct {
	QueueUrl string
	TagKeys  []string
}

func (s *Service) untagQueue(_ context.Context, in untagInput) (nothing, error) {
	if len(in.TagKeys) == 0 {
		return nothing{}, errMissing("TagKeys")
	}
	return nothing{}, s.onQueue(in.QueueUrl, func(t *turn, q *queue) error {
		for _, k := range in.TagKeys {
			delete(q.Tags, k)
		}
		t.putJSON(bucketQueues, key(q.id), q.queueRecord)
		return nil
	})
}

type listTagsOutput struct {
	Tags map[string]string `json:",omitempty"`
}

func (s *Service) listQueueTags(_ context.Context, in queueInput) (listTagsOutput, error) {
	var out listTagsOutput
	err := s.onQueue(in.QueueUrl, func(_ *turn, q *queue) error {
		out.Tags = maps.Clone(q.Tags)
		return nil
	})
	return out, err
}
