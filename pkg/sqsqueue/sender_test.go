package sqsqueue

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"

	"tollgate/pkg/awsclient"
	"tollgate/pkg/config"
	"tollgate/pkg/event"
	"tollgate/pkg/limits"
	"tollgate/pkg/queue"
)

func envelope(account string) event.Envelope {
	return event.Envelope{
		ID: "evt_1", Object: event.ObjectSnapshot, Type: "invoice.paid", Endpoint: "default", Account: account,
		ReceivedAt: time.UnixMilli(1_700_000_000_123).UTC(), Source: event.Webhook, Body: []byte("{\"snow\":\"\u2603\"}\n"),
	}
}

type sendFunc func(context.Context, *sqs.SendMessageInput) (*sqs.SendMessageOutput, error)

// sends is a client that sends only.
type sends struct {
	Client
	f sendFunc
}

func (s sends) SendMessage(ctx context.Context, in *sqs.SendMessageInput, _ ...func(*sqs.Options)) (*sqs.SendMessageOutput, error) {
	return s.f(ctx, in)
}

func senderOf(f sendFunc) *Queue { return New(sends{f: f}, "https://queue", "", limits.AWS()) }

func stored() (*sqs.SendMessageOutput, error) {
	return &sqs.SendMessageOutput{MessageId: aws.String("m-1")}, nil
}

func hang(ctx context.Context) (*sqs.SendMessageOutput, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

const trace = "Root=1-6afe5866-2f6c3e0d4f9b8a7c6d5e4f30"

func TestSendWhatTravels(t *testing.T) {
	cases := []struct {
		name, account, trace string
		group                *string
	}{
		{"platform's own event", "", "", nil},
		{"connected account", "acct_1", trace, aws.String("acct_1")},
		{"account longer than a group may be", strings.Repeat("a", 129), "", nil},
		{"account as long as a group may be", strings.Repeat("a", 128), "", aws.String(strings.Repeat("a", 128))},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var got *sqs.SendMessageInput
			s := senderOf(func(_ context.Context, in *sqs.SendMessageInput) (*sqs.SendMessageOutput, error) {
				got = in
				return stored()
			})
			if err := s.Send(t.Context(), envelope(c.account), c.trace); err != nil {
				t.Fatal(err)
			}
			e, err := queue.Decode(*got.MessageBody)
			if d := cmp.Diff(envelope(c.account), e); d != "" || err != nil {
				t.Errorf("message: error %v (-want +got):\n%s", err, d)
			}
			if *got.QueueUrl != "https://queue" || !cmp.Equal(got.MessageGroupId, c.group) {
				t.Errorf("queue %q group %v, want group %v", *got.QueueUrl, got.MessageGroupId, c.group)
			}
			attribute, ok := got.MessageSystemAttributes["AWSTraceHeader"]
			if ok != (c.trace != "") || aws.ToString(attribute.StringValue) != c.trace {
				t.Errorf("trace %v, want %q", got.MessageSystemAttributes, c.trace)
			}
		})
	}
}

// TestEnqueueWithARefusedTrace: SQS refuses a message for its trace header, as only AWS knows what
// it reads. The event goes without it; a try that got no answer keeps it.
func TestEnqueueWithARefusedTrace(t *testing.T) {
	for name, c := range map[string]struct {
		first error
		want  bool // the second try has the header
	}{
		"refused":   {&smithy.GenericAPIError{Code: "InvalidParameterValue", Message: "Value Root=1 for parameter AWSTraceHeader is invalid."}, false},
		"no answer": {context.DeadlineExceeded, true},
	} {
		t.Run(name, func(t *testing.T) {
			var had []bool
			s := senderOf(func(_ context.Context, in *sqs.SendMessageInput) (*sqs.SendMessageOutput, error) {
				had = append(had, in.MessageSystemAttributes["AWSTraceHeader"].StringValue != nil)
				if len(had) == 1 {
					return nil, c.first
				}
				return stored()
			})
			id, err := s.Enqueue(t.Context(), envelope(""), trace)
			if err != nil || id != "m-1" || !slices.Equal(had, []bool{true, c.want}) {
				t.Errorf("message %q, error %v, tries with the header %v", id, err, had)
			}
		})
	}
}

func TestSendTries(t *testing.T) {
	type call = func(context.Context) (*sqs.SendMessageOutput, error)
	refused := errors.New("refused")
	good := func(context.Context) (*sqs.SendMessageOutput, error) { return stored() }
	refuse := func(context.Context) (*sqs.SendMessageOutput, error) { return nil, refused }
	noID := func(id *string) call {
		return func(context.Context) (*sqs.SendMessageOutput, error) {
			return &sqs.SendMessageOutput{MessageId: id}, nil
		}
	}
	const ms = time.Millisecond
	cases := []struct {
		name        string
		tries       []call // the last one from then on
		calls       int
		least, most time.Duration
		err         error // nil: sent
	}{
		{"good at once", []call{good}, 1, 0, 0, nil},
		{"good at the second try", []call{refuse, good}, 2, 150 * ms, 300 * ms, nil},
		{"good at the third try", []call{refuse, refuse, good}, 3, 450 * ms, 900 * ms, nil},
		{"unanswered, then good", []call{hang, good}, 2, 1150 * ms, 1300 * ms, nil},
		{"unanswered, refused, then good", []call{hang, refuse, good}, 3, 1450 * ms, 1900 * ms, nil},
		{"refused", []call{refuse}, 3, 450 * ms, 900 * ms, refused},
		{"unanswered", []call{hang}, 2, 2150 * ms, 2400 * ms, context.DeadlineExceeded},
		{"answered without an id", []call{noID(nil)}, 3, 450 * ms, 900 * ms, errNoID},
		{"answered with an empty id", []call{noID(aws.String(""))}, 3, 450 * ms, 900 * ms, errNoID},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				calls := 0
				s := senderOf(func(ctx context.Context, _ *sqs.SendMessageInput) (*sqs.SendMessageOutput, error) {
					calls++
					return c.tries[min(calls, len(c.tries))-1](ctx)
				})
				start := time.Now()
				err := s.Send(t.Context(), envelope(""), "")
				took := time.Since(start)
				if !errors.Is(err, c.err) || (err == nil) != (c.err == nil) || calls < c.calls || took < c.least || took > c.most {
					t.Errorf("error %v after %d calls and %v; want %v after %d and %v to %v", err, calls, took, c.err, c.calls, c.least, c.most)
				}
			})
		})
	}
}

// TestSendThroughShortRefusals: refusals of up to 300 ms are over before the last try.
func TestSendThroughShortRefusals(t *testing.T) {
	for range 20 {
		synctest.Test(t, func(t *testing.T) {
			over := time.Now().Add(300 * time.Millisecond)
			s := senderOf(func(context.Context, *sqs.SendMessageInput) (*sqs.SendMessageOutput, error) {
				if time.Now().Before(over) {
					return nil, errors.New("refused")
				}
				return stored()
			})
			if err := s.Send(t.Context(), envelope(""), ""); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestSendEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		s := senderOf(func(ctx context.Context, _ *sqs.SendMessageInput) (*sqs.SendMessageOutput, error) {
			calls++
			return hang(ctx)
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		if err := s.Send(ctx, envelope(""), ""); err == nil || calls != 1 || time.Since(start) != time.Second {
			t.Errorf("error %v after %d calls and %v", err, calls, time.Since(start))
		}
	})
}

func TestSendRefusesWhatCannotBeRead(t *testing.T) {
	s := senderOf(func(context.Context, *sqs.SendMessageInput) (*sqs.SendMessageOutput, error) {
		t.Error("sent")
		return stored()
	})
	if err := s.Send(t.Context(), event.Envelope{}, ""); err == nil {
		t.Error("an undecodable envelope was accepted")
	}
}

// TestSendOverTheWire goes through the SDK to a server that speaks SQS's protocol.
func TestSendOverTheWire(t *testing.T) {
	type message struct {
		QueueUrl, MessageBody, MessageGroupId string
		MessageSystemAttributes               map[string]struct{ DataType, StringValue string }
	}
	var got message
	stored := func(w http.ResponseWriter, body string) {
		sum := md5.Sum([]byte(body))
		_, _ = fmt.Fprintf(w, `{"MessageId":"m-1","MD5OfMessageBody":%q}`, hex.EncodeToString(sum[:]))
	}
	for _, c := range []struct {
		name   string
		answer func(http.ResponseWriter)
		sent   bool
	}{
		{"stored", func(w http.ResponseWriter) { stored(w, got.MessageBody) }, true},
		{"another body was stored", func(w http.ResponseWriter) { stored(w, got.MessageBody+"x") }, false},
		{"overloaded", func(w http.ResponseWriter) { w.WriteHeader(503) }, false},
		{"no such queue", func(w http.ResponseWriter) {
			w.WriteHeader(400)
			_, _ = io.WriteString(w, `{"__type":"com.amazonaws.sqs#QueueDoesNotExist","message":"no"}`)
		}, false},
		{"half an answer", func(w http.ResponseWriter) { _, _ = io.WriteString(w, `{"MessageId":"m-`) }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			calls := 0
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				calls++
				got = message{}
				if err := json.NewDecoder(r.Body).Decode(&got); err != nil || r.Header.Get("X-Amz-Target") != "AmazonSQS.SendMessage" {
					t.Errorf("target %q, error %v", r.Header.Get("X-Amz-Target"), err)
				}
				w.Header().Set("Content-Type", "application/x-amz-json-1.0")
				c.answer(w)
			}))
			t.Cleanup(server.Close)
			client := NewClient(awsclient.New(config.AWS{Region: "us-east-1", AccessKeyID: "test", SecretAccessKey: "test"},
				awsclient.Options{Endpoint: server.URL, Attempts: 1}))
			err := New(client, server.URL+"/000000000000/q", "", limits.AWS()).Send(t.Context(), envelope("acct_1"), trace)
			wantCalls := limits.AWS().SendTries
			if c.sent {
				wantCalls = 1
			}
			if (err == nil) != c.sent || calls != wantCalls {
				t.Errorf("error %v after %d calls, want sent %t after %d", err, calls, c.sent, wantCalls)
			}
			if got.MessageGroupId != "acct_1" || got.MessageSystemAttributes["AWSTraceHeader"].StringValue != trace || got.QueueUrl != server.URL+"/000000000000/q" {
				t.Errorf("on the wire: %+v", got)
			}
		})
	}
}
