package eventsource

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"
)

func TestReadResponse(t *testing.T) {
	t.Parallel()
	batch := []events.SQSMessage{{MessageId: "a"}, {MessageId: "b"}, {MessageId: "c"}}
	all := []string(nil)
	nilList, err := json.Marshal(events.SQSEventResponse{})
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, response string
		failed         []string
		whole          bool // the whole batch failed
	}{
		{"no response", "", all, false},
		{"white space", " \n", all, false},
		{"null", "null", all, false},
		{"empty object", "{}", all, false},
		{"null list", `{"batchItemFailures":null}`, all, false},
		{"nil Go slice", string(nilList), all, false},
		{"empty list", `{"batchItemFailures":[]}`, all, false},
		{"other members only", `{"statusCode":200}`, all, false},
		{"list under another case", `{"BatchItemFailures":[{"itemIdentifier":"a"}]}`, all, false},
		{"one", `{"batchItemFailures":[{"itemIdentifier":"b"}]}`, []string{"b"}, false},
		{"twice the same", `{"batchItemFailures":[{"itemIdentifier":"b"},{"itemIdentifier":"b"}],"x":1}`, []string{"b"}, false},
		{"every one", `{"batchItemFailures":[{"itemIdentifier":"c"},{"itemIdentifier":"b"},{"itemIdentifier":"a"}]}`, []string{"a", "b", "c"}, false},

		{"empty id", `{"batchItemFailures":[{"itemIdentifier":"a"},{"itemIdentifier":""}]}`, nil, true},
		{"null id", `{"batchItemFailures":[{"itemIdentifier":null}]}`, nil, true},
		{"number as id", `{"batchItemFailures":[{"itemIdentifier":1}]}`, nil, true},
		{"unknown id", `{"batchItemFailures":[{"itemIdentifier":"a"},{"itemIdentifier":"z"}]}`, nil, true},
		{"wrong key", `{"batchItemFailures":[{"itemId":"a"}]}`, nil, true},
		{"key in another case", `{"batchItemFailures":[{"ItemIdentifier":"a"}]}`, nil, true},
		{"empty item", `{"batchItemFailures":[{}]}`, nil, true},
		{"null item", `{"batchItemFailures":[null]}`, nil, true},
		{"text as item", `{"batchItemFailures":["a"]}`, nil, true},
		{"list is an object", `{"batchItemFailures":{"itemIdentifier":"a"}}`, nil, true},
		{"list is a text", `{"batchItemFailures":"a"}`, nil, true},
		{"cut off", `{"batchItemFailures":[`, nil, true},
		{"two values", `{}{}`, nil, true},
		{"text", `"ok"`, nil, true},
		{"list alone", `[]`, nil, true},
		{"number", `1`, nil, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			failed, err := readResponse([]byte(test.response), batch)
			var got []string
			for id := range failed {
				got = append(got, id)
			}
			slices.Sort(got)
			if diff := cmp.Diff(test.failed, got); diff != "" || (err != nil) != test.whole {
				t.Errorf("error %v, failed (-want +got):\n%s", err, diff)
			}
		})
	}
}

// FuzzReadResponse holds that what counts as failed is always of the batch, and
// that a response which names an id of the batch never lets all of it pass unseen.
func FuzzReadResponse(f *testing.F) {
	for _, seed := range []string{``, `null`, `{}`, `{"batchItemFailures":[{"itemIdentifier":"a"}]}`, `{"batchItemFailures":[null]}`, `[`} {
		f.Add([]byte(seed))
	}
	batch := []events.SQSMessage{{MessageId: "a"}, {MessageId: "b"}}
	f.Fuzz(func(t *testing.T, response []byte) {
		failed, err := readResponse(response, batch)
		for id := range failed {
			if id != "a" && id != "b" {
				t.Errorf("%q failed", id)
			}
		}
		if err != nil && failed != nil {
			t.Error("both an error and a result")
		}
		var strict struct {
			Items []struct {
				ID *string `json:"itemIdentifier"`
			} `json:"batchItemFailures"`
		}
		if err == nil && json.Unmarshal(response, &strict) == nil {
			var exact map[string]json.RawMessage
			json.Unmarshal(response, &exact)
			if exact["batchItemFailures"] != nil && len(failed) == 0 && len(strict.Items) > 0 {
				t.Errorf("%d items and none failed", len(strict.Items))
			}
		}
	})
}
