package dynamostore

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
)

// TestNoAnswer: the reason is reported, and not cut off behind the SDK's own words.
func TestNoAnswer(t *testing.T) {
	client := dynamodb.New(dynamodb.Options{
		BaseEndpoint: aws.String("http://127.0.0.1:1/" + strings.Repeat("long/", 10)), Region: "us-east-1",
		Credentials: credentials.NewStaticCredentialsProvider("a", "b", ""), Retryer: aws.NopRetryer{},
	})
	r, err := NewReader(client, "t")
	check(t, err)
	stopped, stop := context.WithCancel(t.Context())
	stop()
	for want, ctx := range map[string]context.Context{
		"no answer from DynamoDB: ": t.Context(), "connection refused": t.Context(), "read EVT#evt_1: context canceled": stopped,
	} {
		if _, _, err := r.Get(ctx, "evt_1"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q in it", err, want)
		}
	}
	if f := faultOf(errors.New("odd")); f.kind != lost || f.text != "odd" {
		t.Errorf("%+v", f)
	}
}
