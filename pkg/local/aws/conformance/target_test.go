package conformance

import (
	"context"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
)

const (
	envAWS      = "TOLLGATE_CONFORMANCE_AWS"
	envEndpoint = "TOLLGATE_CONFORMANCE_ENDPOINT"
	envServices = "TOLLGATE_CONFORMANCE_SERVICES"
)

// target is something that the checks run against.
type target struct {
	name       string
	services   []string // dynamodb, sqs, secretsmanager
	config     aws.Config
	deviations map[string]deviation
	patience   time.Duration // how long to wait for something that must happen
	pollEvery  time.Duration
}

func (t *target) probe(ctx context.Context) *probe {
	return &probe{
		ctx:     ctx,
		target:  t,
		dynamo:  dynamodb.NewFromConfig(t.config),
		sqs:     sqs.NewFromConfig(t.config),
		secrets: secretsmanager.NewFromConfig(t.config),
	}
}

// localTarget is a target on this machine. The configuration is built by hand:
// what AWS_* variables say about profiles or certificates is of no use here, and
// without retries an error is seen when it happens.
func localTarget(t testing.TB, name, endpoint string, deviations map[string]deviation, services ...string) *target {
	t.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: 128, IdleConnTimeout: 2 * time.Second}
	t.Cleanup(transport.CloseIdleConnections)
	return &target{
		name:       name,
		services:   services,
		deviations: deviations,
		patience:   15 * time.Second,
		pollEvery:  25 * time.Millisecond,
		config: aws.Config{
			Region:       "us-east-1",
			BaseEndpoint: aws.String(endpoint),
			Credentials:  credentials.NewStaticCredentialsProvider("test", "test", ""),
			HTTPClient:   &http.Client{Transport: transport, Timeout: 3 * time.Minute},
			Retryer:      func() aws.Retryer { return aws.NopRetryer{} },
		},
	}
}

func TestEndpoint(t *testing.T) {
	endpoint := os.Getenv(envEndpoint)
	if endpoint == "" {
		t.Skipf("%s is not set", envEndpoint)
	}
	services := []string{"dynamodb", "sqs", "secretsmanager"}
	if named := os.Getenv(envServices); named != "" {
		services = strings.Split(named, ",")
	}
	runChecks(t, localTarget(t, endpoint, endpoint, nil, services...))
}

func TestAWS(t *testing.T) {
	region := os.Getenv(envAWS)
	if region == "" {
		t.Skipf("%s is not set", envAWS)
	}
	cfg, err := config.LoadDefaultConfig(t.Context(), config.WithRegion(region))
	if err != nil {
		t.Fatalf("load AWS configuration: %v", err)
	}
	runChecks(t, &target{
		name: "AWS", config: cfg, services: []string{"dynamodb", "sqs", "secretsmanager"},
		patience: 2 * time.Minute, pollEvery: 500 * time.Millisecond,
	})
}
