package config

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tollgate/pkg/limits"
	"tollgate/pkg/policy"
)

// deployed returns a function's environment in a golden template, with the values of its
// references on AWS and Lambda's own variables.
func deployed(t *testing.T, stage, function string) Lookup {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("..", "..", "infra", "testdata", "tollgate-"+stage+".json"))
	if err != nil {
		t.Fatal(err)
	}
	var template struct {
		Resources map[string]struct {
			Properties struct {
				Environment struct{ Variables map[string]any }
			}
		}
	}
	if err := json.Unmarshal(raw, &template); err != nil {
		t.Fatal(err)
	}
	const queues, secrets = "https://sqs.eu-central-1.amazonaws.com/123456789012/", "arn:aws:secretsmanager:eu-central-1:123456789012:secret:"
	refs := map[string]string{
		"Queue":           queues + "tollgate-" + stage + "-events",
		"DeadLetterQueue": queues + "tollgate-" + stage + "-dead",
		"HoldQueue":       queues + "tollgate-" + stage + "-hold",
		"Table":           "tollgate-" + stage + "-Table-1ABCDEF",
		"WebhookSecret":   secrets + "WebhookSecret-AbCdEf",
		"ApiKeySecret":    secrets + "ApiKeySecret-AbCdEf",
	}
	env := map[string]string{"AWS_REGION": "eu-central-1", "AWS_ACCESS_KEY_ID": "ASIA", "AWS_SECRET_ACCESS_KEY": "s", "AWS_SESSION_TOKEN": "t"}
	for name, value := range template.Resources[function].Properties.Environment.Variables {
		switch v := value.(type) {
		case string:
			env[name] = v
		case map[string]any:
			ref := fmt.Sprint(v["Ref"])
			if refs[ref] == "" {
				t.Fatalf("%s of %s refers to %v", name, function, v)
			}
			env[name] = refs[ref]
		}
	}
	return func(name string) (string, bool) { v, ok := env[name]; return v, ok }
}

// TestStackIsAccepted loads the environments of the stack's functions.
func TestStackIsAccepted(t *testing.T) {
	for stage, mode := range map[string]bool{"test": false, "live": true} {
		t.Run(stage, func(t *testing.T) {
			in, err := LoadIngest(deployed(t, stage, "Ingest"))
			if err != nil {
				t.Fatal(err)
			}
			if in.Stage != stage || !strings.HasSuffix(in.QueueURL, "-"+stage+"-events") || !strings.Contains(in.WebhookSecretID, ":WebhookSecret-") {
				t.Errorf("ingest: %+v", in)
			}
			c, err := LoadConsumer(deployed(t, stage, "Consumer"))
			if err != nil {
				t.Fatal(err)
			}
			if c.Stage != stage || !strings.HasSuffix(c.DLQURL, "-"+stage+"-dead") || !strings.HasSuffix(c.HoldURL, "-"+stage+"-hold") || c.Table == "" || !strings.Contains(c.APIKeySecretID, ":ApiKeySecret-") {
				t.Errorf("consumer: %+v", c)
			}
			r, err := LoadReconcile(deployed(t, stage, "Reconcile"))
			if err != nil {
				t.Fatal(err)
			}
			if r.Stage != stage || !strings.HasSuffix(r.QueueURL, "-"+stage+"-events") || r.Table != c.Table || r.APIKeySecretID != c.APIKeySecretID || r.Limits != limits.AWS() {
				t.Errorf("reconcile: %+v", r)
			}
			if c.Limits != limits.AWS() || in.Limits != limits.AWS() {
				t.Errorf("the functions have other limits than limits.AWS(): %+v, %+v", in.Limits, c.Limits)
			}
			want := map[string]policy.Policy{"default": {Livemode: []bool{mode}}}
			if diff := cmp.Diff(want, c.Endpoints); diff != "" {
				t.Errorf("endpoints (-want +got):\n%s", diff)
			}
		})
	}
}
