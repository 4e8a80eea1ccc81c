package sqs

import (
	"errors"
	"net/http"

	"tollgate/pkg/local/aws/awsjson"
)

const (
	maxBatchEntries = 10
	maxBatchID      = 80
)

// failedEntry describes one failed entry of a batch.
type failedEntry struct {
	Id          string
	Code        string
	Message     string
	SenderFault bool
}

type doneEntry struct{ Id string }

// batchOutput is the answer of batches whose successful entries have no data.
type batchOutput struct {
	Successful []doneEntry
	Failed     []failedEntry
}

func (o *batchOutput) add(id string, err error) {
	if err != nil {
		o.Failed = append(o.Failed, failure(id, err))
		return
	}
	o.Successful = append(o.Successful, doneEntry{id})
}

func failure(id string, err error) failedEntry {
	if e, ok := errors.AsType[*awsjson.Error](err); ok {
		return failedEntry{Id: id, Code: e.QueryCode, Message: e.Message, SenderFault: e.Status < http.StatusInternalServerError}
	}
	return failedEntry{Id: id, Code: "InternalError", Message: err.Error()}
}

// checkBatch rejects a whole batch: none or too many entries, bad or repeated ids.
func checkBatch[E any](entries []E, id func(E) string) error {
	if len(entries) == 0 {
		return fault(http.StatusBadRequest, queryPrefix, "EmptyBatchRequest", "There should be at least one entry in the request.")
	}
	if len(entries) > maxBatchEntries {
		return fault(http.StatusBadRequest, queryPrefix, "TooManyEntriesInBatchRequest",
			"Maximum number of entries per request are %d. You have sent %d.", maxBatchEntries, len(entries))
	}
	seen := make(map[string]bool)
	for _, e := range entries {
		if id(e) == "" || len(id(e)) > maxBatchID || !only(id(e), isQueueNameChar) {
			return fault(http.StatusBadRequest, queryPrefix, "InvalidBatchEntryId",
				"A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at most %d letters long.", maxBatchID)
		}
		if seen[id(e)] {
			return fault(http.StatusBadRequest, queryPrefix, "BatchEntryIdsNotDistinct", "Id %s repeated.", id(e))
		}
		seen[id(e)] = true
	}
	return nil
}
