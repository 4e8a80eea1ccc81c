package sqsqueue

import (
	"context"
	"errors"
	"maps"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"tollgate/pkg/limits"
)

type attributesFunc func() (map[string]string, error)

// attributesClient is a client that reads attributes only.
type attributesClient struct {
	Client
	f attributesFunc
}

func (c attributesClient) GetQueueAttributes(context.Context, *sqs.GetQueueAttributesInput, ...func(*sqs.Options)) (*sqs.GetQueueAttributesOutput, error) {
	attributes, err := c.f()
	return &sqs.GetQueueAttributesOutput{Attributes: attributes}, err
}

func TestDepth(t *testing.T) {
	all := map[string]string{
		"ApproximateNumberOfMessages": "5", "ApproximateNumberOfMessagesNotVisible": "20", "ApproximateNumberOfMessagesDelayed": "300",
	}
	if n, err := New(attributesClient{f: func() (map[string]string, error) { return all, nil }}, "q", "", limits.AWS()).Depth(t.Context()); n != 325 || err != nil {
		t.Errorf("depth %d, %v", n, err)
	}
	for name := range all {
		partly := maps.Clone(all)
		delete(partly, name)
		// A queue that does not tell must not look empty.
		if _, err := New(attributesClient{f: func() (map[string]string, error) { return partly, nil }}, "q", "", limits.AWS()).Depth(t.Context()); err == nil {
			t.Errorf("no error without %s", name)
		}
	}
	down := errors.New("down")
	if _, err := New(attributesClient{f: func() (map[string]string, error) { return nil, down }}, "q", "", limits.AWS()).Depth(t.Context()); !errors.Is(err, down) {
		t.Errorf("error %v", err)
	}
}
