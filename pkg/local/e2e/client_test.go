package e2e_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// trial makes an event for a handler of the trial consumer.
func trial(id, typ string) []byte {
	return bytes.ReplaceAll(event(id, typ), []byte(`"object":"invoice"`), []byte(`"object":"trial"`))
}

// post delivers one signed body and returns the answer; 0 when there was none.
func (s *system) post(body []byte) (status int, answer string) {
	return s.request(http.MethodPost, "", body, map[string]string{
		"Content-Type": "application/json; charset=utf-8", "Stripe-Signature": sign(body, s.info.Secret),
	})
}

func (s *system) request(method, path string, body []byte, headers map[string]string) (status int, answer string) {
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.info.URL+path, bytes.NewReader(body))
	if err != nil {
		return 0, err.Error()
	}
	for name, value := range headers {
		req.Header.Set(name, value)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, err.Error()
	}
	return res.StatusCode, strings.TrimSpace(string(text))
}

// depth is how many messages a queue holds, hidden and delayed ones included.
func (s *system) depth(url string) int {
	s.t.Helper()
	out, err := s.queues().GetQueueAttributes(s.t.Context(), &sqs.GetQueueAttributesInput{
		QueueUrl: &url, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameAll},
	})
	if err != nil {
		s.t.Fatalf("queue attributes: %v", err)
	}
	sum := 0
	for _, name := range []string{"ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed"} {
		n, _ := strconv.Atoi(out.Attributes[name])
		sum += n
	}
	return sum
}

// drained waits until the queue of events is empty.
func (s *system) drained(bound time.Duration) {
	s.t.Helper()
	eventually(s.t, bound, func() (bool, string) {
		n := s.depth(s.info.QueueURL)
		return n == 0, fmt.Sprintf("%d messages in the queue", n)
	})
}

// inDLQ waits until the dead-letter queue holds n messages.
func (s *system) inDLQ(n int, bound time.Duration) {
	s.t.Helper()
	eventually(s.t, bound, func() (bool, string) {
		got := s.depth(s.info.DLQURL)
		return got == n, fmt.Sprintf("%d messages in the dead-letter queue, want %d", got, n)
	})
}
