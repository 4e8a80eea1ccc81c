package sqs

import (
	"context"
	"encoding/base64"
	"strings"
)

const maxListed = 1000

type listQueuesInput struct {
	QueueNamePrefix string
	MaxResults      *int
	NextToken       string
}

type listQueuesOutput struct {
	QueueUrls []string `json:",omitempty"`
	NextToken string   `json:",omitempty"`
}

func (s *Service) listQueues(ctx context.Context, in listQueuesInput) (out listQueuesOutput, err error) {
	err = s.do(func(t *turn) (err error) {
		out.QueueUrls, out.NextToken, err = t.page(ctx, in.MaxResults, in.NextToken, func(q *queue) bool {
			return strings.HasPrefix(q.Name, in.QueueNamePrefix)
		})
		return err
	})
	return out, err
}

type listSourcesInput struct {
	QueueUrl   string
	MaxResults *int
	NextToken  string
}

type listSourcesOutput struct {
	QueueUrls []string `json:"queueUrls"`
	NextToken string   `json:",omitempty"`
}

func (s *Service) listDeadLetterSourceQueues(ctx context.Context, in listSourcesInput) (out listSourcesOutput, err error) {
	err = s.onQueue(in.QueueUrl, func(t *turn, q *queue) (err error) {
		out.QueueUrls, out.NextToken, err = t.page(ctx, in.MaxResults, in.NextToken, func(source *queue) bool {
			return source.settings.redrive != nil && source.settings.redrive.target == t.arn(q.Name)
		})
		return err
	})
	return out, err
}

// page lists URLs of queues after the token's; only a request with MaxResults gets a token for the rest.
func (t *turn) page(ctx context.Context, maxResults *int, token string, wanted func(*queue) bool) (urls []string, next string, err error) {
	size := maxListed
	if maxResults != nil {
		size = *maxResults
	}
	if size < 1 || size > maxListed {
		return nil, "", errOutOfRange("MaxResults", size, 1, maxListed)
	}
	after, err := base64.URLEncoding.Strict().DecodeString(token)
	if err != nil {
		return nil, "", errInvalidParameter("Invalid or expired next token.")
	}
	urls = []string{}
	last := ""
	for _, q := range t.byName() {
		if q.Name <= string(after) || !wanted(q) {
			continue
		}
		if len(urls) == size {
			if maxResults != nil {
				next = base64.URLEncoding.EncodeToString([]byte(last))
			}
			break
		}
		urls, last = append(urls, queueURL(ctx, q.Name)), q.Name
	}
	return urls, next, nil
}
