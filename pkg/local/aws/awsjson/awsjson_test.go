package awsjson_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	ddbtypes "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	smtypes "github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"

	"tollgate/pkg/local/aws/awsjson"
)

// echo answers with what an operation was given.
func echo(ctx context.Context, body []byte) (any, error) {
	return map[string]any{"Body": string(body), "Host": awsjson.RequestHost(ctx)}, nil
}

func fails(err error) awsjson.Operation {
	return func(context.Context, []byte) (any, error) { return nil, err }
}

func serve(t *testing.T, services ...awsjson.Service) string {
	t.Helper()
	server := httptest.NewServer(awsjson.Handler(services...))
	t.Cleanup(server.Close)
	return server.URL
}

func testService() awsjson.Service {
	return awsjson.Service{Target: "Test_2020", Version: "1.1", ErrorNamespace: "com.test#", Operations: map[string]awsjson.Operation{
		"Echo":      echo,
		"Plain":     fails(errors.New("disk gone")),
		"Typed":     fails(fmt.Errorf("wrapped: %w", awsjson.Errorf("BadThing", "bad %d", 7))),
		"Query":     fails(&awsjson.Error{Status: 403, Code: "Over", Message: "m", QueryCode: "Old.Over"}),
		"Down":      fails(&awsjson.Error{Status: 503, Code: "Down", Message: "m", QueryCode: "Old.Down"}),
		"Fields":    fails(&awsjson.Error{Code: "F", Message: "m", Fields: map[string]any{"Item": 1, "__type": "mine"}}),
		"BadAnswer": func(context.Context, []byte) (any, error) { return func() {}, nil },
		"BadFields": fails(&awsjson.Error{Code: "F", Fields: map[string]any{"x": func() {}}}),
	}}
}

func TestWire(t *testing.T) {
	url := serve(t, testService())
	cases := []struct {
		name, method, target, body string
		status                     int
		contentType, query, want   string
	}{
		{"answer", "POST", "Test_2020.Echo", `{"a":1}`, 200, "application/x-amz-json-1.1", "", `{"Body":"{\"a\":1}","Host":"HOST"}`},
		{"empty body is an empty request", "POST", "Test_2020.Echo", "", 200, "application/x-amz-json-1.1", "", `{"Body":"{}","Host":"HOST"}`},
		{"blank body is an empty request", "POST", "Test_2020.Echo", " \n", 200, "application/x-amz-json-1.1", "", `{"Body":"{}","Host":"HOST"}`},
		{"plain error", "POST", "Test_2020.Plain", "{}", 500, "application/x-amz-json-1.1", "", `{"__type":"com.test#InternalServerError","message":"disk gone"}`},
		{"wrapped error", "POST", "Test_2020.Typed", "{}", 400, "application/x-amz-json-1.1", "", `{"__type":"com.test#BadThing","message":"bad 7"}`},
		{"query code", "POST", "Test_2020.Query", "{}", 403, "application/x-amz-json-1.1", "Old.Over;Sender", `{"__type":"com.test#Over","message":"m"}`},
		{"query code of our fault", "POST", "Test_2020.Down", "{}", 503, "application/x-amz-json-1.1", "Old.Down;Receiver", `{"__type":"com.test#Down","message":"m"}`},
		{"fields are added, never replace the type", "POST", "Test_2020.Fields", "{}", 400, "application/x-amz-json-1.1", "", `{"Item":1,"__type":"com.test#F","message":"m"}`},
		{"answer that is no JSON", "POST", "Test_2020.BadAnswer", "{}", 500, "application/x-amz-json-1.1", "", `{"__type":"com.test#InternalServerError","message":"encode answer: json: unsupported type: func()"}`},
		{"error that is no JSON", "POST", "Test_2020.BadFields", "{}", 400, "application/x-amz-json-1.1", "", `{"__type":"InternalServerError","message":"encode error"}`},
		{"unknown operation", "POST", "Test_2020.Nope", "{}", 400, "application/x-amz-json-1.1", "", `{"__type":"com.test#UnknownOperationException","message":"operation \"Test_2020.Nope\" is not supported by this embedded service"}`},
		{"unknown service", "POST", "Other.Echo", "{}", 400, "application/x-amz-json-1.0", "", `{"__type":"UnknownOperationException","message":"operation \"Other.Echo\" is not supported by this embedded service"}`},
		{"no target", "POST", "", "{}", 400, "application/x-amz-json-1.0", "", `{"__type":"UnknownOperationException","message":"operation \"\" is not supported by this embedded service"}`},
		{"target without operation", "POST", "Test_2020", "{}", 400, "application/x-amz-json-1.1", "", `{"__type":"com.test#UnknownOperationException","message":"operation \"Test_2020\" is not supported by this embedded service"}`},
		{"other method", "GET", "Test_2020.Echo", "", 405, "text/plain; charset=utf-8", "", "this address speaks the AWS JSON protocols: POST only\n"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r, err := http.NewRequest(c.method, url, strings.NewReader(c.body))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("X-Amz-Target", c.target)
			resp, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			type seen struct {
				Status                   int
				ContentType, Query, Body string
			}
			want := seen{c.status, c.contentType, c.query, strings.Replace(c.want, "HOST", strings.TrimPrefix(url, "http://"), 1)}
			got := seen{resp.StatusCode, resp.Header.Get("Content-Type"), resp.Header.Get("X-Amzn-Query-Error"), string(body)}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
			if c.status == 405 {
				return
			}
			if sum := fmt.Sprint(crc32.ChecksumIEEE(body)); resp.Header.Get("X-Amz-Crc32") != sum || resp.Header.Get("X-Amzn-RequestId") == "" {
				t.Errorf("headers %v", resp.Header)
			}
		})
	}
}

func TestBodySizes(t *testing.T) {
	ran := 0
	s := testService()
	s.Operations["Count"] = func(_ context.Context, body []byte) (any, error) {
		ran++
		return map[string]int{"Bytes": len(body)}, nil
	}
	url := serve(t, s)
	for _, c := range []struct{ size, status int }{
		{awsjson.MaxRequestBytes, 200}, {awsjson.MaxRequestBytes + 1, 413}, {2 * awsjson.MaxRequestBytes, 413},
	} {
		r, err := http.NewRequest("POST", url, bytes.NewReader(bytes.Repeat([]byte("x"), c.size)))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-Amz-Target", "Test_2020.Count")
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		var answer struct {
			Type  string `json:"__type"`
			Bytes int
		}
		if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
			t.Error(err)
		}
		resp.Body.Close()
		tooLarge := answer.Type == "com.test#RequestEntityTooLarge"
		if resp.StatusCode != c.status || tooLarge != (c.status == 413) {
			t.Errorf("%d bytes: %d %+v", c.size, resp.StatusCode, answer)
		}
	}
	if ran != 1 {
		t.Errorf("the operation ran %d times", ran)
	}
}

// A client that stops in the middle but still reads must be told, and the operation must not run on the half.
func TestHalfSentBody(t *testing.T) {
	ran := false
	s := testService()
	s.Operations["Note"] = func(context.Context, []byte) (any, error) {
		ran = true
		return nil, nil
	}
	url := serve(t, s)
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "POST / HTTP/1.1\r\nHost: x\r\nX-Amz-Target: Test_2020.Note\r\nContent-Length: 100\r\n\r\n{\"half\":")
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	if text := string(answer); !strings.HasPrefix(text, "HTTP/1.1 400") || !strings.Contains(text, "RequestIncomplete") {
		t.Errorf("answer %q", text)
	}
	if ran {
		t.Error("the operation ran")
	}
}

// The error shapes are right when the real clients make their own types of them.
func TestErrorsReadByRealClients(t *testing.T) {
	item := map[string]any{"pk": map[string]string{"S": "x"}}
	url := serve(t,
		awsjson.Service{Target: "AmazonSQS", Version: "1.0", ErrorNamespace: "com.amazonaws.sqs#", Operations: map[string]awsjson.Operation{
			"GetQueueUrl": fails(&awsjson.Error{Code: "QueueDoesNotExist", Message: "gone", QueryCode: "AWS.SimpleQueueService.NonExistentQueue"}),
			"ListQueues":  fails(errors.New("disk gone")),
		}},
		awsjson.Service{Target: "DynamoDB_20120810", Version: "1.0", ErrorNamespace: "com.amazonaws.dynamodb.v20120810#", Operations: map[string]awsjson.Operation{
			"PutItem": fails(&awsjson.Error{Code: "ConditionalCheckFailedException", Message: "no", Fields: map[string]any{"Item": item}}),
		}},
		awsjson.Service{Target: "secretsmanager", Version: "1.1", Operations: map[string]awsjson.Operation{
			"GetSecretValue": fails(awsjson.Errorf("ResourceNotFoundException", "none")),
		}})
	keys := credentials.NewStaticCredentialsProvider("test", "test", "")

	queues := sqs.New(sqs.Options{Region: "us-east-1", BaseEndpoint: &url, Credentials: keys, RetryMaxAttempts: 1})
	_, err := queues.GetQueueUrl(t.Context(), &sqs.GetQueueUrlInput{QueueName: aws.String("q")})
	var noQueue *sqstypes.QueueDoesNotExist
	if !errors.As(err, &noQueue) || noQueue.ErrorMessage() != "gone" || noQueue.ErrorCode() != "AWS.SimpleQueueService.NonExistentQueue" {
		t.Errorf("SQS: %v", err)
	}
	_, err = queues.ListQueues(t.Context(), &sqs.ListQueuesInput{})
	api, ok := errors.AsType[smithy.APIError](err)
	if !ok || api.ErrorCode() != "InternalServerError" {
		t.Errorf("plain error: %v", err)
	}

	tables := dynamodb.New(dynamodb.Options{Region: "us-east-1", BaseEndpoint: &url, Credentials: keys, RetryMaxAttempts: 1})
	_, err = tables.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: aws.String("t"), Item: map[string]ddbtypes.AttributeValue{}})
	var failed *ddbtypes.ConditionalCheckFailedException
	if !errors.As(err, &failed) {
		t.Fatalf("DynamoDB: %v", err)
	}
	if pk, ok := failed.Item["pk"].(*ddbtypes.AttributeValueMemberS); !ok || pk.Value != "x" {
		t.Errorf("the error's item: %v", failed.Item)
	}

	secrets := secretsmanager.New(secretsmanager.Options{Region: "us-east-1", BaseEndpoint: &url, Credentials: keys, RetryMaxAttempts: 1})
	_, err = secrets.GetSecretValue(t.Context(), &secretsmanager.GetSecretValueInput{SecretId: aws.String("s")})
	var noSecret *smtypes.ResourceNotFoundException
	if !errors.As(err, &noSecret) || noSecret.ErrorMessage() != "none" {
		t.Errorf("Secrets Manager: %v", err)
	}
}

func TestRequestHostOutsideARequest(t *testing.T) {
	if got := awsjson.RequestHost(context.Background()); got != "" {
		t.Errorf("host %q", got)
	}
	if got := awsjson.RequestHost(awsjson.WithRequestHost(context.Background(), "h:1")); got != "h:1" {
		t.Errorf("host %q", got)
	}
}

// FuzzTarget sends any target and body: always an answer with a type or the operation's own.
func FuzzTarget(f *testing.F) {
	h := awsjson.Handler(testService())
	for _, seed := range []string{"Test_2020.Echo", "", ".", "Test_2020.", "..", "Test_2020.Echo.More"} {
		f.Add(seed, []byte("{}"))
	}
	f.Fuzz(func(t *testing.T, target string, body []byte) {
		r := httptest.NewRequest("POST", "/", bytes.NewReader(body))
		r.Header.Set("X-Amz-Target", target)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		var answer map[string]any
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
			t.Fatalf("answer %q: %v", w.Body, err)
		}
		if w.Code != 200 && answer["__type"] == "" {
			t.Errorf("no type: %v", answer)
		}
	})
}
