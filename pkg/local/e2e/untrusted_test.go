//go:build linux

package e2e_test

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/smithy-go"

	"tollgate/pkg/local"
)

// TestUntrustedClientsOnLoopback: a web page or another user of the machine gets no data and
// takes no invocations from the functions.
func TestUntrustedClientsOnLoopback(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir())
	s.enqueue(event("before", "invoice.paid"))
	s.becomesDone("before")

	t.Run("pages", func(t *testing.T) {
		urls := map[string]string{"front": s.info.URL, "aws": s.info.Endpoint, "stripe": s.info.StripeURL + "/v1/events"}
		for _, pid := range s.children("ingest", "consumer") {
			urls[fmt.Sprint("runtime API of ", pid)] = "http://" + environOf(t, pid)["AWS_LAMBDA_RUNTIME_API"] + "/2018-06-01/runtime/invocation/next"
		}
		if len(urls) < 5 {
			t.Fatalf("%d services, want those of both functions too", len(urls))
		}
		for name, url := range urls {
			for header, value := range map[string]string{"Origin": "https://shop.example", "Sec-Fetch-Site": "cross-site", "Host": "rebound.example"} {
				if name == "front" && header == "Host" {
					continue // tunnels have names of their own
				}
				if got := statusOf(t, url, header, value); got != http.StatusForbidden {
					t.Errorf("%s with %s: %s is answered %d, want 403", name, header, value, got)
				}
			}
		}
	})
	t.Run("runtime API", func(t *testing.T) {
		for _, pid := range s.children("ingest", "consumer") {
			api := environOf(t, pid)["AWS_LAMBDA_RUNTIME_API"]
			const next = "/2018-06-01/runtime/invocation/next"
			if got := statusOf(t, "http://"+host(api)+next, "", ""); got != http.StatusNotFound {
				t.Errorf("next without the key is answered %d, want 404", got)
			}
			if got := statusOf(t, "http://"+api+next, "", ""); got != http.StatusForbidden {
				t.Errorf("a second next is answered %d, want 403", got)
			}
		}
	})
	t.Run("other keys", func(t *testing.T) {
		stranger := local.Info{Endpoint: s.info.Endpoint, AccessKey: local.AccessKey{ID: "test", Secret: s.info.AccessKey.Secret}}.AWSConfig()
		_, err := secretsmanager.NewFromConfig(stranger).GetSecretValue(t.Context(), &secretsmanager.GetSecretValueInput{SecretId: aws.String(local.WebhookSecretID)})
		refusedWith(t, err, "UnrecognizedClientException")
		_, err = sqs.NewFromConfig(stranger).ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: &s.info.QueueURL})
		refusedWith(t, err, "InvalidClientTokenId")
	})
	t.Run("files", func(t *testing.T) {
		err := filepath.WalkDir(s.data, func(path string, d os.DirEntry, err error) error {
			if err != nil || path == s.data {
				return err
			}
			info, err := d.Info()
			if err == nil && info.Mode().Perm()&0o077 != 0 {
				t.Errorf("%s has mode %v: others can read it", path, info.Mode())
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	})
	s.enqueue(event("after", "invoice.paid"))
	s.becomesDone("after")
}

// statusOf gets a URL with a timeout of a second.
func statusOf(t *testing.T, url, header, value string) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	must(t, err)
	if header == "Host" {
		r.Host = value
	} else if header != "" {
		r.Header.Set(header, value)
	}
	client := http.Client{Timeout: time.Second}
	res, err := client.Do(r)
	if err != nil {
		t.Errorf("get %s: %v", url, err)
		return 0
	}
	res.Body.Close()
	return res.StatusCode
}

func refusedWith(t *testing.T, err error, code string) {
	t.Helper()
	if e, ok := errors.AsType[smithy.APIError](err); !ok || e.ErrorCode() != code {
		t.Errorf("error %v, want %s", err, code)
	}
}

// environOf reads the environment of a process.
func environOf(t *testing.T, pid int) map[string]string {
	t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	must(t, err)
	env := map[string]string{}
	for v := range strings.SplitSeq(string(raw), "\x00") {
		name, value, _ := strings.Cut(v, "=")
		env[name] = value
	}
	return env
}
