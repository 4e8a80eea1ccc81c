package eventsource

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/aws/aws-lambda-go/events"
)

// readResponse returns the ids of the messages that the function reported as failed. As
// on Lambda, no response, null, an object without batchItemFailures and a list that is
// null or empty mean success. A response that cannot be decoded, and an id that is
// missing, empty or unknown, is an error; then no message of the batch may be deleted.
// Member names are case-sensitive.
func readResponse(response []byte, batch []events.SQSMessage) (map[string]bool, error) {
	if len(bytes.TrimSpace(response)) == 0 {
		return nil, nil
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(response, &members) != nil {
		return nil, errors.New("the response is not a JSON object")
	}
	list := members["batchItemFailures"]
	if list == nil {
		return nil, nil
	}
	var items []map[string]json.RawMessage
	if json.Unmarshal(list, &items) != nil {
		return nil, errors.New("batchItemFailures is not a list of objects")
	}
	known := make(map[string]bool, len(batch))
	for _, m := range batch {
		known[m.MessageId] = true
	}
	failed := make(map[string]bool, len(items))
	for i, item := range items {
		var id string
		if raw := item["itemIdentifier"]; raw == nil || json.Unmarshal(raw, &id) != nil || id == "" {
			return nil, fmt.Errorf("batchItemFailures[%d] has no itemIdentifier", i)
		}
		if !known[id] {
			return nil, fmt.Errorf("batchItemFailures[%d] names no message of the batch", i)
		}
		failed[id] = true
	}
	return failed, nil
}
