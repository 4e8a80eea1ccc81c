package lambdahost

import (
	"context"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestStartsQuietly starts the real functions: none makes a connection before an event
// needs one. What they could reach, a proxy and the metadata service too, is one
// listener that counts.
func TestStartsQuietly(t *testing.T) {
	dir := t.TempDir()
	build := exec.Command("go", "build", "-tags", "lambda.norpc", "-trimpath", "-buildvcs=false", "-o", dir+string(filepath.Separator),
		"tollgate/functions/ingest", "tollgate/functions/consumer")
	if text, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the functions: %v: %s", err, text)
	}
	const request = `{"version":"2.0","rawPath":"/webhooks/stripe","headers":{"content-type":"application/json","stripe-signature":"t=%d,v1=%s"},` +
		`"requestContext":{"http":{"method":%q,"path":"/webhooks/stripe","sourceIp":"3.18.12.63"}},"body":"{}","isBase64Encoded":false}`
	mac := strings.Repeat("0", 64)
	tests := []struct {
		function     string
		quiet        string // an event that needs nothing from outside
		answer       string // part of its answer
		needsOutside string
	}{
		{"ingest", fmt.Sprintf(request, 0, mac, "GET"), `"statusCode":405`, fmt.Sprintf(request, time.Now().Unix(), mac, "POST")},
		{"consumer", `{"Records":[]}`, `"batchItemFailures":[]`,
			`{"Records":[{"messageId":"m","receiptHandle":"r","body":"no envelope","attributes":{"ApproximateReceiveCount":"1"},"eventSource":"aws:sqs"}]}`},
	}
	for _, tt := range tests {
		t.Run(tt.function, func(t *testing.T) {
			url, connections := countConnections(t)
			f, err := New(Options{
				Name: tt.function, Path: filepath.Join(dir, tt.function), Env: quietEnv(url),
				Timeout: 30 * time.Second, InitTimeout: time.Minute, Stderr: t.Output(), Stdout: t.Output(),
			})
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close(context.Background())
			got, err := f.Invoke(t.Context(), []byte(tt.quiet))
			if err != nil || !strings.Contains(string(got), tt.answer) {
				t.Fatalf("the first event: %s, %v, want %s", got, err, tt.answer)
			}
			if n := connections.Load(); n != 0 {
				t.Errorf("%d connections before an event needed one", n)
			}
			// The result does not matter: nothing serves the listener.
			_, _ = f.Invoke(t.Context(), []byte(tt.needsOutside))
			if connections.Load() == 0 {
				t.Error("an event that needs the outside made no connection: the listener sees nothing")
			}
		})
	}
}

// countConnections listens, counts and hangs up.
func countConnections(t *testing.T) (url string, connections *atomic.Int64) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	connections = &atomic.Int64{}
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			connections.Add(1)
			c.Close()
		}
	}()
	return "http://" + listener.Addr().String(), connections
}

func quietEnv(url string) map[string]string {
	return map[string]string{
		"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_ENDPOINT_URL": url,
		"AWS_EC2_METADATA_SERVICE_ENDPOINT": url, "AWS_CONTAINER_CREDENTIALS_FULL_URI": url, "HTTP_PROXY": url, "HTTPS_PROXY": url,
		"TOLLGATE_QUEUE_URL": url + "/000000000000/tollgate-events", "TOLLGATE_DLQ_URL": url + "/000000000000/tollgate-dead",
		"TOLLGATE_TABLE": "tollgate", "TOLLGATE_WEBHOOK_SECRET_ID": "webhook", "TOLLGATE_API_KEY_SECRET_ID": "key", "TOLLGATE_STRIPE_URL": url,
	}
}
