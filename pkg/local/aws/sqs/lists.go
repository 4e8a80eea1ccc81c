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

func (s *Service) listQueues(ctx context.Context, in listQueuesInput) (listQueuesOutput, error) {
	var page []string
	var next string
	err := s.do(func(t *turn) (err error) {
		page, next, err = t.page(in.MaxResults, in.NextToken, func(q *queue) bool {
			return strings.HasPrefix(q.Name, in.QueueNamePrefix)
		})
		return err
	})
	return listQueuesOutput{s.urls(ctx, page), next}, err
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

func (s *Service) listDeadLetterSourceQueues(ctx context.Context, in listSourcesInput) (listSourcesOutput, error) {
	var page []string
	var next string
	err := s.onQueue(in.QueueUrl, func(t *turn, q *queue) error {
		var err error
		page, next, err = t.page(in.MaxResults, in.NextToken, func(source *queue) bool {
			return source.settings.redrive != nil && source.settings.redrive.target == t.arn(q.Name)
		})
		return err
	})
	return listSourcesOutput{s.urls(ctx, page), next}, err
}

func (s *Service) urls(ctx context.Context, names []string) []string {
	urls := make([]string, len(names))
	for i, name := range names {
		urls[i] = queueURL(ctx, name)
	}
	return urls
}

// page lists names after the token's; only a request with MaxResults gets a token for the rest.
func (t *turn) page(maxResults *int, token string, wanted func(*queue) bool) (names []string, next string, err error) {
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
	for _, q := range t.byName() {
		if q.Name <= string(after) || !wanted(q) {
			continue
		}
		if len(names) == size {
			if maxResults != nil {
				next = base64.URLEncoding.EncodeToString([]byte(names[size-1]))
			}
			break
		}
		names = append(names, q.Name)
	}
	return names, next, nil
}
