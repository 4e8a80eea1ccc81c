package config

import (
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	sendDLQ = "https://sqs.eu-central-1.amazonaws.com/123456789012/tollgate-a-send-b-send-dead" // of stage a-send-b
	topics  = `{"crm":{"type":"sns","topic":"arn:aws:sns:eu-central-1:123456789012:crm","messages":["*"],"group":"x-send-y"},
		"erp":{"type":"sns","topic":"arn:aws:sns:eu-central-1:123456789012:erp","events":["invoice.*"]}}`
	loopback = `{"crm":{"type":"http","url":"http://127.0.0.1:8080/hooks","secret":"tollgate/crm","messages":["*"],"insecure_http":true,"allow":["127.0.0.0/8"]}}`
)

func sends(changes map[string]string) Lookup {
	all := map[string]string{"TOLLGATE_DESTINATIONS": topics, "TOLLGATE_SEND_DLQ_URL": sendDLQ}
	maps.Copy(all, changes)
	return with(all)
}

func TestLoadSender(t *testing.T) {
	got, err := LoadSender(sends(map[string]string{"TOLLGATE_CONCURRENCY": "4", "TOLLGATE_API_KEY_SECRET_ID": "key", "AWS_ENDPOINT_URL_SNS": "http://127.0.0.1:1"}))
	if err != nil || got.Table != "tollgate" || got.Concurrency != 4 || got.APIKeySecretID != "key" || got.AWS.EndpointSNS != "http://127.0.0.1:1" || got.AWS.EndpointSQS != "" {
		t.Fatalf("%+v, %v", got, err)
	}
	consumer, errConsumer := LoadConsumer(sends(nil))
	reconcile, errReconcile := LoadReconcile(sends(nil))
	if errConsumer != nil || errReconcile != nil {
		t.Fatal(errConsumer, errReconcile)
	}
	for name, s := range map[string]Sending{"consumer": consumer.Sending, "reconcile": reconcile.Sending} {
		if diff := cmp.Diff(got.Sending, s, compare); diff != "" {
			t.Errorf("%s hands over to other destinations than the sender's (-want +got):\n%s", name, diff)
		}
	}
	for _, group := range []string{"x-send-y", "erp"} {
		url := got.Sending.QueueURL(group)
		if want := strings.TrimSuffix(sendDLQ, "dead") + group; url != want {
			t.Errorf("queue of %s: %s, want %s", group, url, want)
		}
		for _, queue := range []string{url, "arn:aws:sqs:eu-central-1:123456789012:tollgate-a-send-b-send-" + group} {
			if g := got.Sending.Group(queue); g != group {
				t.Errorf("%s is of group %q, want %q", queue, g, group)
			}
		}
	}
	for _, queue := range []string{"", sendDLQ, "tollgate-a-send-b-events", "tollgate-a-send-b-send-other", "y", "arn:aws:sqs:eu-central-1:1:tollgate-send-erp"} {
		if g := got.Sending.Group(queue); g != "" {
			t.Errorf("%s is of group %q", queue, g)
		}
	}
}

// TestLocal: plain HTTP and loopback addresses are allowed where the services are the local
// system's, whatever the stage is called.
func TestLocal(t *testing.T) {
	for endpoint, local := range map[string]bool{
		"": false, "http://127.0.0.1:4566": true, "http://[::1]:4566": true, "http://localhost:4566": true,
		"https://sqs.eu-central-1.amazonaws.com": false, "http://localhost.example.com": false, "http://10.0.0.1": false,
	} {
		change := map[string]string{"AWS_ENDPOINT_URL_SQS": endpoint, "TOLLGATE_STAGE": "local", "TOLLGATE_DESTINATIONS": loopback, "TOLLGATE_MAIL_DIR": "/mail"}
		c, err := LoadSender(sends(change))
		if (err == nil) != local || err != nil && !strings.Contains(err.Error(), "insecure_http") || c.AWS.Local() != local {
			t.Errorf("endpoint %q: local %v, %v", endpoint, c.AWS.Local(), err)
		}
	}
}

func TestNothingToSend(t *testing.T) {
	for _, text := range []string{"", "{}"} {
		c, err := LoadConsumer(with(map[string]string{"TOLLGATE_DESTINATIONS": text}))
		if err != nil || len(c.Sending.Destinations) != 0 {
			t.Errorf("%q: %+v, %v", text, c.Sending, err)
		}
		_, err = LoadSender(with(map[string]string{"TOLLGATE_DESTINATIONS": text}))
		hasFault(t, err, "TOLLGATE_DESTINATIONS", "")
	}
}

func TestSenderFaults(t *testing.T) {
	for _, c := range []struct{ name, variable, value, want string }{
		{"no table", "TOLLGATE_TABLE", "", "is not set"},
		{"no JSON", "TOLLGATE_DESTINATIONS", "crm", "TOLLGATE_DESTINATIONS is invalid"},
		{"plain HTTP", "TOLLGATE_DESTINATIONS", loopback, "insecure_http"},
		{"no queue", "TOLLGATE_SEND_DLQ_URL", "", "is not set"},
		{"another queue", "TOLLGATE_SEND_DLQ_URL", "https://sqs.eu-central-1.amazonaws.com/123456789012/tollgate-dead", "does not end in -send-dead"},
		{"mail into a folder", "TOLLGATE_MAIL_DIR", "/mail", "is for the local system"},
		{"no process", "TOLLGATE_CONCURRENCY", "0", "from 1 to 1000"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := LoadSender(sends(map[string]string{c.variable: c.value}))
			hasFault(t, err, c.variable, c.want)
		})
	}
	_, err := LoadReconcile(sends(map[string]string{"TOLLGATE_SEND_DLQ_URL": ""}))
	hasFault(t, err, "TOLLGATE_SEND_DLQ_URL", "is not set")
}
