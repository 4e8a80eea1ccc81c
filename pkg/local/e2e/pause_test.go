//go:build unix

package e2e_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
)

// mapping is the event source mapping of the queue of events, as AWS's tools find it.
func (s *system) mapping() types.EventSourceMappingConfiguration {
	s.t.Helper()
	out, err := lambda.NewFromConfig(s.info.AWSConfig()).ListEventSourceMappings(s.t.Context(), &lambda.ListEventSourceMappingsInput{
		EventSourceArn: aws.String("arn:aws:sqs:us-east-1:000000000000:tollgate-events"),
	})
	must(s.t, err)
	if len(out.EventSourceMappings) != 1 {
		s.t.Fatalf("%d mappings", len(out.EventSourceMappings))
	}
	return out.EventSourceMappings[0]
}

// becomes waits until the mapping is in a state.
func (s *system) becomes(state string) {
	s.t.Helper()
	eventually(s.t, func() (bool, string) {
		got := aws.ToString(s.mapping().State)
		return got == state, "the mapping is " + got + ", want " + state
	})
}

// TestMappingIsDisabled by AWS's own SDK: events wait in the queue, also after a kill, until it is
// enabled. No one else may do it.
func TestMappingIsDisabled(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	s := start(t, data)
	s.becomes("Enabled")
	id := s.mapping().UUID
	_, err := lambda.NewFromConfig(s.info.AWSConfig()).UpdateEventSourceMapping(t.Context(), &lambda.UpdateEventSourceMappingInput{UUID: id, Enabled: aws.Bool(false)})
	must(t, err)
	s.becomes("Disabled")
	s.enqueue(event("waits", "invoice.paid"))
	s.kill()

	s = start(t, data)
	s.becomes("Disabled")
	url := s.info.Endpoint + "/2015-03-31/event-source-mappings/" + *id
	for name, headers := range map[string]map[string]string{
		"without a key": {}, "with another": {"Authorization": "AWS4-HMAC-SHA256 Credential=other/x"},
		"from a page": {"Authorization": "AWS4-HMAC-SHA256 Credential=" + s.info.AccessKey.ID + "/x", "Origin": "http://example.com"},
	} {
		if status, _ := request(http.MethodPut, url, []byte(`{"Enabled":true}`), headers); status != http.StatusForbidden {
			t.Errorf("%s: %d", name, status)
		}
	}
	if n := s.depth(s.info.QueueURL); n != 1 || s.record("waits")["st"] != "" {
		t.Errorf("%d messages wait, record %v", n, s.record("waits"))
	}
	_, err = lambda.NewFromConfig(s.info.AWSConfig()).UpdateEventSourceMapping(t.Context(), &lambda.UpdateEventSourceMappingInput{UUID: id, Enabled: aws.Bool(true)})
	must(t, err)
	if r := s.becomesDone("waits"); r["att"] != "1" {
		t.Error(fmt.Sprint(r))
	}
}
