package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"maps"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdksecrets "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	sdksqs "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/smithy-go/encoding/cbor"

	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/delivery"
	"tollgate/pkg/dispatch"
	"tollgate/pkg/doctor"
	"tollgate/pkg/dynamostore"
	"tollgate/pkg/handlers"
	"tollgate/pkg/idempotency"
	"tollgate/pkg/limits"
	"tollgate/pkg/local/localtest"
	"tollgate/pkg/pause"
	"tollgate/pkg/reconcile"
	"tollgate/pkg/registration"
	"tollgate/pkg/stripeapi"
)

const (
	hookURL   = "https://hooks.example.com" + limits.WebhookPath
	published = `{"WEBHOOKS":["3.18.12.63","3.130.192.231"]}`
)

// stage is a deployed system with its endpoint at Stripe, for the command in a process of its
// own: the internet is behind a proxy.
type stage struct {
	*deployed
	stripe   *stripeapi.Client // the account that api.stripe.com has
	endpoint string            // at Stripe
	environ  []string
	ips      string // Stripe's published addresses
}

func newStage(t *testing.T) *stage {
	t.Helper()
	d := newDeployed(t)
	fake, url := localtest.Stripe(t)
	client, err := stripeapi.New(stripeapi.Options{URL: url, Key: func(context.Context) (string, error) { return "sk_test_1", nil }})
	check(t, err)
	s := &stage{deployed: d, stripe: client, ips: filepath.Join(t.TempDir(), "ips_webhooks.json")}
	check(t, os.WriteFile(s.ips, []byte(published), 0o600))
	e, secret, err := client.CreateWebhookEndpoint(t.Context(), registration.NewEndpoint{URL: hookURL, Events: handlers.Types(), APIVersion: stripeapi.APIVersion}, "once")
	check(t, err)
	_, err = client.UpdateWebhookEndpoint(t.Context(), e.ID, registration.Update{Metadata: map[string]string{registration.MetaName: "default", registration.MetaSecret: secret.Fingerprint()}})
	check(t, err)
	s.endpoint = e.ID
	s.secret(`{"default":["` + secret.Reveal() + `"]}`)
	proxy, roots := internet(t, map[string]http.Handler{
		"api.stripe.com": fake,
		"hooks.example.com": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusBadRequest) // no signature
		}),
	})
	s.environ = append(os.Environ(), asCommand+"=1", asVersion+"="+released, "HTTPS_PROXY="+proxy, "SSL_CERT_FILE="+roots)
	s.variables["TOLLGATE_ALLOW_IPS"] = "3.18.12.63,3.130.192.231"
	return s
}

// internet serves hosts by HTTPS behind a proxy. It returns the proxy's URL and a file with
// the certificate that they have.
func internet(t *testing.T, hosts map[string]http.Handler) (proxy, roots string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	of := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, DNSNames: []string{"api.stripe.com", "hooks.example.com"}}
	der, err := x509.CreateCertificate(rand.Reader, of, of, &key.PublicKey, key)
	check(t, err)
	roots = filepath.Join(t.TempDir(), "roots.pem")
	check(t, os.WriteFile(roots, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	secure := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { hosts[r.Host].ServeHTTP(w, r) }))
	secure.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	secure.StartTLS()
	t.Cleanup(secure.Close)
	tunnel := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if host, _, _ := net.SplitHostPort(r.Host); r.Method != http.MethodConnect || hosts[host] == nil {
			t.Errorf("asked for %s %s", r.Method, r.Host)
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		there, err := net.Dial("tcp", secure.Listener.Addr().String())
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		defer there.Close()
		here, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer here.Close()
		_, _ = io.WriteString(here, "HTTP/1.1 200 OK\r\n\r\n")
		go func() { _, _ = io.Copy(there, here) }()
		_, _ = io.Copy(here, there)
	}))
	t.Cleanup(tunnel.Close)
	return tunnel.URL, roots
}

func (s *stage) secret(text string) {
	s.t.Helper()
	_, err := s.aws.Secrets.PutSecretValue(s.t.Context(), &sdksecrets.PutSecretValueInput{SecretId: aws.String("webhook"), SecretString: &text})
	check(s.t, err)
}

func (s *stage) attribute(queue, name, value string) {
	s.t.Helper()
	_, err := s.sqs.SetQueueAttributes(s.t.Context(), &sdksqs.SetQueueAttributesInput{QueueUrl: aws.String(s.outputs[queue]), Attributes: map[string]string{name: value}})
	check(s.t, err)
}

// run runs the command in a process of its own.
func (s *stage) run(args ...string) answer {
	s.t.Helper()
	var out, errOut bytes.Buffer
	cmd := exec.CommandContext(s.t.Context(), os.Args[0], append([]string{"doctor", "--stack", "tollgate-test", "--published-ips", s.ips}, args...)...)
	cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr = s.environ, s.data, &out, &errOut
	s.seen()
	defer s.seen()
	if err := cmd.Run(); cmd.ProcessState == nil {
		s.t.Fatal(err)
	}
	return answer{cmd.ProcessState.ExitCode(), out.String(), errOut.String()}
}

// TestDoctorNamesSeededFaults, each by one finding with a command, and finds nothing else.
func TestDoctorNamesSeededFaults(t *testing.T) {
	for _, f := range faults() {
		t.Run(f.name, func(t *testing.T) {
			s := newStage(t)
			f.seed(s)
			got := s.run("--json")
			var found []string
			for _, finding := range lines[doctor.Finding](t, got.out) {
				switch {
				case finding.Status == doctor.OK, finding.Status == doctor.Skipped && slices.Contains([]string{"destinations", "table history"}, finding.Name):
				case finding.Status == doctor.Warn && finding.Name == "endpoint" && f.finding == "signing secrets": // says it too
				case finding.Status == doctor.Fail && strings.Contains(finding.Detail, f.says) && strings.Contains(finding.Fix, f.do):
					found = append(found, finding.Name)
				default:
					t.Errorf("also found %+v", finding)
				}
			}
			if f.finding == "" {
				if got.code != verb.ExitDone || len(found) > 0 {
					t.Errorf("a healthy stage: exit %d\n%s%s", got.code, got.out, got.err)
				}
				return
			}
			if got.code != verb.ExitFailed || !slices.Equal(found, []string{f.finding}) || !strings.Contains(got.err, `"error":"1 checks fail"`) {
				t.Errorf("exit %d, found %q, want %q that says %q and tells %q\n%s%s", got.code, found, f.finding, f.says, f.do, got.out, got.err)
			}
		})
	}
}

// fault is one that is seeded: its finding, words of it, and the command that it tells.
type fault struct {
	name, finding, says, do string
	seed                    func(*stage)
}

func faults() []fault {
	answers := func(action, instead, what string) func(*stage) {
		return func(s *stage) { s.changed[action] = [2]string{instead, what} }
	}
	return append([]fault{
		{"none", "", "", "", func(*stage) {}},
		{"none, with aliases", "", "", "", func(s *stage) {
			s.aliased = true
			s.changed["ListEventSourceMappings"] = [2]string{"-consumer", "-consumer:live"}
		}},
		{"no subscriber is confirmed", "alarm topic", "no confirmed subscription, and 2 wait", "aws --region us-east-1 sns subscribe --topic-arn " + topicOfOne,
			answers("ListSubscriptionsByTopic", topicOfOne+":11111111-2222", "PendingConfirmation")},
		{"alarms are silenced", "alarms", "page-dead-letters has its actions disabled", "aws --region us-east-1 cloudwatch enable-alarm-actions --alarm-names tollgate-test-page-dead-letters",
			func(s *stage) {
				s.alarm = func(a cbor.Map) {
					if a["AlarmName"] == cbor.String("tollgate-test-page-dead-letters") {
						a["ActionsEnabled"] = cbor.Bool(false)
					}
				}
			}},
		{"an alarm", "alarms", "page-ingest-errors is in ALARM", "see infra/README.md#alarm-shared", func(s *stage) {
			s.alarm = func(a cbor.Map) {
				if a["AlarmName"] == cbor.String("tollgate-test-page-ingest-errors") {
					a["StateValue"] = cbor.String("ALARM")
				}
			}
		}},
		{"too little concurrency", "concurrency", "limit is 202, and it takes 203 to reserve 103", "--desired-value 203",
			answers("GetAccountSettings", `1000,"UnreservedConcurrentExecutions":897`, `202,"UnreservedConcurrentExecutions":99`)},
		{"a function is switched off", "function ingest", "switched off", "aws --region us-east-1 lambda put-function-concurrency --function-name tollgate-test-ingest --reserved-concurrent-executions 50",
			answers("GetFunctionConcurrency", `50,"of":"ingest"`, "0")},
		{"another version is deployed", "version", "deployed is v1.2.2, this command is v1.2.3", "make deploy VERSION=v1.2.3",
			answers("GetFunctionConfiguration", released, "v1.2.2")},
		{"the trigger is disabled", "trigger", "mapping is disabled", "aws --region us-east-1 lambda update-event-source-mapping --uuid u-1 --enabled",
			answers("ListEventSourceMappings", "Enabled", "Disabled")},
		{"the trigger passes the alias by", "trigger", "not to the alias live", "--uuid u-1 --function-name tollgate-test-consumer:live",
			func(s *stage) { s.aliased = true }},
		{"the trigger reports whole batches", "trigger", "is lost", "--uuid u-1 --function-response-types ReportBatchItemFailures",
			answers("ListEventSourceMappings", "ReportBatchItemFailures", "")},
		{"a schedule is off", "schedule", "rule-outbox is disabled", "aws --region us-east-1 events enable-rule --name rule-outbox",
			answers("DescribeRule", `"rule-outbox","State":"ENABLED"`, `"rule-outbox","State":"DISABLED"`)},
		{"a schedule is gone", "schedule", "no rule starts the task verify", "detect-stack-drift --stack-name tollgate-test",
			answers("ListRuleNamesByTarget", `,"rule-verify"`, "")},
		{"the restored table expires nothing", "table expiry", "do not expire", "aws --region us-east-1 dynamodb update-time-to-live --table-name tollgate --time-to-live-specification Enabled=true,AttributeName=exp",
			answers("DescribeTimeToLive", "ENABLED", "DISABLED")},
		{"the restored table has no recovery", "table recovery", "cannot be restored", "aws --region us-east-1 dynamodb update-continuous-backups --table-name tollgate",
			answers("DescribeContinuousBackups", `"PointInTimeRecoveryStatus":"ENABLED"`, `"PointInTimeRecoveryStatus":"DISABLED"`)},
		{"another table is adopted", "table", `its key is ["id S"]`, "TOLLGATE_TABLE",
			answers("DescribeTable", `"AttributeName":"pk"`, `"AttributeName":"id"`)},
		{"addresses are behind Stripe's", "allowed addresses", "from 3.130.192.231, and they are refused", `"allow-ips"`,
			func(s *stage) { s.variables["TOLLGATE_ALLOW_IPS"] = "3.18.12.63" }},
		{"the clock is off", "clock", "is off by 2m", "NTP", func(s *stage) { s.ahead = 150 * time.Second }},
	}, append(dataFaults(), stripeFaults()...)...)
}

// dataFaults are faults of what queues, table and secrets hold.
func dataFaults() []fault {
	return []fault{
		{"a dead letter", "dead letters", "1: their events are not handled", "tollgate causes", func(s *stage) {
			_, err := s.sqs.SendMessage(s.t.Context(), &sdksqs.SendMessageInput{QueueUrl: aws.String(s.outputs[limits.OutputDLQURL]), MessageBody: aws.String("x")})
			check(s.t, err)
		}},
		{"a pause of eleven days", "pauses", "invoice.paid is paused for 264h0m0s by ann (x)", "tollgate resume invoice.paid, now", func(s *stage) {
			_, err := s.writer.PutPauses(s.t.Context(), pause.State{Paused: map[string]pause.Mark{"invoice.paid": {At: time.Now().Add(-11 * 24 * time.Hour), By: "ann", Why: "x"}}})
			check(s.t, err)
		}},
		{"an event of no pause", "pauses", "1 events are held, and no type is paused", "tollgate hold list", func(s *stage) {
			_, err := s.sqs.SendMessage(s.t.Context(), &sdksqs.SendMessageInput{QueueUrl: aws.String(s.outputs[limits.OutputHoldURL]), MessageBody: aws.String("x")})
			check(s.t, err)
		}},
		{"no dead-letter queue", "queue", "no dead-letter queue", "aws --region us-east-1 sqs set-queue-attributes --queue-url", func(s *stage) { s.attribute(limits.OutputQueueURL, "RedrivePolicy", "") }},
		{"few receives", "queue", "max receives is 5", `\"maxReceiveCount\":\"16\"`, func(s *stage) {
			s.attribute(limits.OutputQueueURL, "RedrivePolicy", `{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:tollgate-test-dead","maxReceiveCount":5}`)
		}},
		{"a record is overdue", "records", "1 events have receives left", "tollgate events show evt_old", func(s *stage) { s.failed("evt_old", "invoice.paid", "", "no row", 3) }},
		{"a message is overdue", "outbox", "1 messages wait for over 15m0s", "tollgate outbox list --unsent", func(s *stage) {
			key := "OUT#FACT#test#acct_1#in_1#paid#receipt"
			s.done("evt_1", "invoice.paid", idempotency.Applied, dispatch.Effects{dispatch.Insert("FACT#"+key[9:], nil), dispatch.Insert(key, dispatch.Fields{
				"kind": "outbox", "name": "receipt", "lst": dispatch.OutboxList(dispatch.OutboxShard(key)), "at": at.Format(time.RFC3339), "queued_at": time.Now().Add(-time.Hour).UnixMilli(),
			})})
		}},
		{"no pass for an hour", "reconcile", "ended 1h1m", "tollgate reconcile report", func(s *stage) {
			s.covered(time.Now().Add(-61 * time.Minute))
		}},
		{"a destination is down", "destinations", "crm accepts nothing since", "tollgate destination show crm", func(s *stage) {
			s.receiver()
			deliveries, err := dynamostore.NewDeliveries(s.dynamo, s.info.Table, dynamostore.Options{})
			check(s.t, err)
			_, err = deliveries.SwapState(s.t.Context(), "crm", delivery.State{Since: time.Now().Add(-2 * time.Hour), Seen: time.Now(), By: "w"})
			check(s.t, err)
		}},
		{"no secret is usable", "signing secrets", "no usable secret", "[\"whsec_…\"]", func(s *stage) { s.secret(`{"default":[]}`) }},
	}
}

// stripeFaults are faults of the endpoint at Stripe, and of the key.
func stripeFaults() []fault {
	update := func(u registration.Update) func(*stage) {
		return func(s *stage) {
			_, err := s.stripe.UpdateWebhookEndpoint(s.t.Context(), s.endpoint, u)
			check(s.t, err)
		}
	}
	return []fault{
		{"the endpoint is disabled", "endpoint", "it is disabled: Stripe delivers nothing", "endpoint apply", update(registration.Update{Disabled: aws.Bool(true)})},
		{"the endpoint lacks types", "endpoint", "lacks types that have a handler", "endpoint apply", update(registration.Update{Events: handlers.Types()[:1]})},
		{"the endpoint delivers elsewhere", "endpoint", "the registration differs", "tollgate endpoint apply", func(s *stage) {
			s.outputs[limits.OutputWebhookURL] = "https://hooks.example.com/moved" + limits.WebhookPath
		}},
	}
}

// receiver gives the stage a destination.
func (s *stage) receiver() {
	s.t.Helper()
	s.variables["TOLLGATE_DESTINATIONS"] = `{"crm":{"type":"sqs","queue":"https://sqs.us-east-1.amazonaws.com/000000000000/q","messages":["*"]}}`
	s.variables["TOLLGATE_SEND_DLQ_URL"] = s.aws.Queue(s.t, "tollgate-test-send-dead", map[string]string{"MessageRetentionPeriod": "1209600"})
	s.aws.Queue(s.t, "tollgate-test-send-crm", map[string]string{
		"VisibilityTimeout": "360", "MessageRetentionPeriod": "864000",
		"RedrivePolicy": `{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:tollgate-test-send-dead","maxReceiveCount":1000}`,
	})
}

// covered replaces the last pass by one that ended then.
func (s *stage) covered(done time.Time) {
	s.t.Helper()
	reader, err := dynamostore.NewReader(s.dynamo, s.info.Table)
	check(s.t, err)
	notes, _, err := reader.Covered(s.t.Context(), done.Add(-24*time.Hour), time.Now())
	check(s.t, err)
	for _, n := range notes {
		n.DoneAt = done
		check(s.t, s.store.Cover(s.t.Context(), n))
	}
	if len(notes) != 1 || notes[0].Tier != reconcile.Frequent {
		s.t.Fatalf("passes: %+v", notes)
	}
}

// TestDoctorSaysWhatItCouldNotRead: an answer that is refused, throttled or never comes is a
// warning, never ok and no fault of the system. Exit 1 if that is all.
func TestDoctorSaysWhatItCouldNotRead(t *testing.T) {
	s := newStage(t)
	s.receiver()
	healthy := findingsByName(t, s.run("--json").ok(t).out)
	asked := slices.Sorted(maps.Keys(s.asked))
	if len(asked) < 17 {
		t.Fatalf("asked only for %q", asked)
	}
	judge := func(what string, got answer, code, want int) {
		t.Helper()
		unread := 0
		for name, f := range findingsByName(t, got.out) {
			if f.Status == doctor.Warn && f.Fix != "" && (strings.Contains(f.Detail, "could not be checked") || strings.Contains(f.Detail, "not known") || strings.Contains(f.Detail, "not asked")) {
				unread++
			} else if f != healthy[name] && name != "clock" && name != "reconcile" {
				t.Errorf("%s: %+v, was %+v", what, f, healthy[name])
			}
		}
		if got.code != code || unread < want {
			t.Errorf("%s: exit %d, %d warnings, want %d\n%s%s", what, got.code, unread, want, got.out, got.err)
		}
	}
	for _, action := range asked {
		if action == "DescribeStacks" {
			continue
		}
		s.refuses = map[string]string{action: "AccessDeniedException"}
		judge(action+" denied", s.run("--json"), verb.ExitDone, 1)
	}
	for _, how := range []string{"ThrottlingException", hangs} { // with hangs, each check waits for its time limit
		s.refuses = map[string]string{}
		for _, action := range asked {
			if action != "DescribeStacks" {
				s.refuses[action] = how
			}
		}
		judge(how, s.run("--json", "--timeout=2s"), verb.ExitFailed, 12)
	}
	s.refuses = map[string]string{"DescribeStacks": "AccessDenied"}
	if got := s.run("--json"); got.code != verb.ExitFailed || !strings.Contains(got.out, `"name":"target","status":"fail"`) {
		t.Errorf("no stack to read: exit %d\n%s", got.code, got.out)
	}
}

// TestPoliciesAllowDoctor: the stack's policy for operators allows every request that doctor
// made, and the one for readers all but those for secrets.
func TestPoliciesAllowDoctor(t *testing.T) {
	s := newStage(t)
	s.receiver()
	s.run().ok(t)
	raw, err := os.ReadFile(filepath.Join("..", "..", "..", "infra", "testdata", "tollgate-test.json"))
	check(t, err)
	var template struct {
		Resources map[string]struct {
			Properties struct {
				PolicyDocument struct{ Statement []struct{ Action any } }
			}
		}
	}
	check(t, json.Unmarshal(raw, &template))
	s.asked["ListTables"] = "dynamodb" // only of a table that the stack made
	for _, name := range []string{"Reader", "Operator"} {
		var allowed []string
		for _, statement := range template.Resources[name].Properties.PolicyDocument.Statement {
			allowed = append(allowed, strings.Fields(strings.Trim(fmt.Sprint(statement.Action), "[]"))...)
		}
		for action, service := range s.asked {
			if service == "monitoring" {
				service = "cloudwatch"
			}
			if !slices.Contains(allowed, service+":"+action) && (name != "Reader" || service != "secretsmanager") {
				t.Errorf("%s may not call %s:%s", name, service, action)
			}
		}
	}
}

// findingsByName has the worst finding of each name.
func findingsByName(t *testing.T, out string) map[string]doctor.Finding {
	t.Helper()
	all := map[string]doctor.Finding{}
	for _, f := range lines[doctor.Finding](t, out) {
		if was, ok := all[f.Name]; !ok || rank(f.Status) > rank(was.Status) {
			all[f.Name] = f
		}
	}
	return all
}
