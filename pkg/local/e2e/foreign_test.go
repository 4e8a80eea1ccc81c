//go:build unix

package e2e_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// needsTool skips the test if a foreign program is not installed.
func needsTool(t *testing.T, name string, check ...string) {
	t.Helper()
	if len(check) == 0 {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("skipped: %s is not installed", name)
		}
		return
	}
	if text, err := exec.Command(name, check...).CombinedOutput(); err != nil {
		t.Skipf("skipped: %s %s fails: %v: %.100s", name, strings.Join(check, " "), err, text)
	}
}

// foreign runs a program of others on this system.
func (s *system) foreign(t *testing.T, stdin []byte, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(withoutAWS(os.Environ()), "AWS_PAGER=", "AWS_CONFIG_FILE="+os.DevNull, "AWS_SHARED_CREDENTIALS_FILE="+os.DevNull)
	for name, value := range s.info.AWSEnv() {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	cmd.Stdin = bytes.NewReader(stdin)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v: %s", name, err, stderr.String())
	}
	return strings.TrimSpace(string(out))
}

// withoutAWS drops the caller's AWS variables.
func withoutAWS(env []string) (kept []string) {
	for _, e := range env {
		if !strings.HasPrefix(e, "AWS_") {
			kept = append(kept, e)
		}
	}
	return kept
}

// TestForeignClients: signatures of other implementations of Stripe's scheme are accepted, over
// any formatting of the JSON, and AWS tools read the results.
func TestForeignClients(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir())
	var pretty bytes.Buffer
	must(t, json.Indent(&pretty, event("pretty", "invoice.paid"), "", "  "))
	bodies := map[string][]byte{"compact": event("compact", "invoice.paid"), "pretty": append(pretty.Bytes(), '\n')}
	t.Run("openssl", func(t *testing.T) { s.signedByOpenSSL(t, bodies) })
	t.Run("python", func(t *testing.T) { s.sentByPython(t, bodies) })

	s.enqueue(event("done", "invoice.paid"))
	s.enqueue(unreadable(event("other_version", "invoice.paid")))
	s.becomesDone("done")
	s.inDLQ(1)
	if g := s.groups()["payment_intent.succeeded"]; g.Count != 1 || g.Reason != "api_version" || g.EventID != "evt_other_version" {
		t.Errorf("dead letters %+v, want one with reason api_version", g)
	}
	if st := s.story("other_version"); st.Status != "dead" || st.Reason != "api_version" {
		t.Errorf("story %+v, want it dead with reason api_version", st)
	}
	t.Run("aws", s.readByCLI)
	t.Run("boto3", s.readByBoto)
	message := s.deadLetters(1)[0]
	for name, want := range map[string]string{"reason": "api_version", "event_id": "evt_other_version", "event_type": "payment_intent.succeeded", "attempt": "1"} {
		if got := message.MessageAttributes[name].StringValue; got == nil || *got != want {
			t.Errorf("dead letter's attribute %s is %v, want %q", name, got, want)
		}
	}
}

func (s *system) signedByOpenSSL(t *testing.T, bodies map[string][]byte) {
	needsTool(t, "openssl")
	for name, body := range bodies {
		at := time.Now().Unix()
		out := s.foreign(t, fmt.Appendf(nil, "%d.%s", at, body), "openssl", "dgst", "-sha256", "-hmac", s.info.Secret)
		_, digest, _ := strings.Cut(out, "= ")
		status, answer := request(http.MethodPost, s.info.URL, body, map[string]string{
			"Content-Type": "application/json", "Stripe-Signature": fmt.Sprintf("t=%d,v1=%s", at, digest),
		})
		if status != http.StatusOK {
			t.Errorf("%s: %d %s, want 200", name, status, answer)
		}
		s.becomesDone(name)
	}
}

const pythonClient = `
import hashlib, hmac, sys, time, urllib.request
url, secret = sys.argv[1:]
body, at = sys.stdin.buffer.read(), str(int(time.time()))
digest = hmac.new(secret.encode(), at.encode() + b"." + body, hashlib.sha256).hexdigest()
request = urllib.request.Request(url, body, {"content-type": "application/json", "stripe-signature": "t=%s,v0=ignored,v1=%s" % (at, digest)})
print(urllib.request.urlopen(request, timeout=60).status)
`

func (s *system) sentByPython(t *testing.T, bodies map[string][]byte) {
	needsTool(t, "python3", "--version")
	for name, body := range bodies {
		body = bytes.ReplaceAll(body, []byte(name), []byte(name+"_python"))
		if out := s.foreign(t, body, "python3", "-c", pythonClient, s.info.URL, s.info.Secret); out != "200" {
			t.Errorf("%s: %s, want 200", name, out)
		}
		s.becomesDone(name + "_python")
	}
}

func (s *system) readByCLI(t *testing.T) {
	needsTool(t, "aws", "--version")
	var scan struct {
		Count int
		Items []map[string]map[string]any
	}
	must(t, json.Unmarshal([]byte(s.foreign(t, nil, "aws", "dynamodb", "scan", "--table-name", s.info.Table)), &scan))
	if want := len(s.items("")); scan.Count != want || len(scan.Items) != want {
		t.Errorf("the AWS CLI reads %d items, want %d", scan.Count, want)
	}
	var got struct{ Attributes map[string]string }
	args := []string{"sqs", "get-queue-attributes", "--attribute-names", "All", "--queue-url", s.info.DLQURL}
	if strings.HasPrefix(s.foreign(t, nil, "aws", "--version"), "aws-cli/1.") {
		args = append(args, "--endpoint-url", s.info.Endpoint) // it takes SQS's endpoint from nowhere else
	}
	out := s.foreign(t, nil, "aws", args...)
	must(t, json.Unmarshal([]byte(out), &got))
	if got.Attributes["ApproximateNumberOfMessages"] != "1" || !strings.HasSuffix(got.Attributes["QueueArn"], ":tollgate-dead") {
		t.Errorf("the AWS CLI reads %v of the dead-letter queue, want one message", got.Attributes)
	}
}

const botoReader = `
import boto3, json, sys
table, queue, dead = sys.argv[1:]
items = boto3.resource("dynamodb").Table(table).scan(ConsistentRead=True)["Items"]
sqs = boto3.client("sqs")
messages = sqs.receive_message(QueueUrl=dead, MessageAttributeNames=["All"], VisibilityTimeout=0, WaitTimeSeconds=1)["Messages"]
print(json.dumps({
  "done": sorted(i["pk"] for i in items if i.get("st") == "DONE"),
  "amounts": [int(i["amount"]) for i in items if i["pk"] == "FACT#test#-#in_done#paid#none"],
  "waiting": sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["All"])["Attributes"]["ApproximateNumberOfMessages"],
  "reasons": [m["MessageAttributes"]["reason"]["StringValue"] for m in messages],
}))
`

func (s *system) readByBoto(t *testing.T) {
	needsTool(t, "python3", "-c", "import boto3")
	script := filepath.Join(t.TempDir(), "read.py")
	must(t, os.WriteFile(script, []byte(botoReader), 0o600))
	var got struct {
		Done    []string
		Amounts []int
		Waiting string
		Reasons []string
	}
	out := s.foreign(t, nil, "python3", script, s.info.Table, s.info.QueueURL, s.info.DLQURL)
	must(t, json.Unmarshal([]byte(out), &got))
	want := 0
	for _, it := range s.items("EVT#") {
		if it["st"] == "DONE" {
			want++
		}
	}
	if len(got.Done) != want || fmt.Sprint(got.Amounts) != "[100]" || got.Waiting != "0" || fmt.Sprint(got.Reasons) != "[api_version]" {
		t.Errorf("boto3 reads %+v, want %d done, the fact's amount 100, an empty queue and one reason api_version", got, want)
	}
}
