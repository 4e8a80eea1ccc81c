package lossy_test

import (
	"encoding/json"
	"hash/crc32"
	"net/http"
	"strconv"
	"strings"
)

// refusal is what the services answer when they cannot take a request just now. Nothing
// of it was applied.
func refusal(f fate, q request) *answer {
	service, operation, _ := strings.Cut(q.target, ".")
	sqs := service == "AmazonSQS"
	switch {
	case f == expired:
		return failure(http.StatusBadRequest, "com.amazon.coral.service#InvalidSignatureException", map[string]any{"message": "Signature expired: it is too old"})
	case f == unavailable && sqs:
		return failure(http.StatusServiceUnavailable, "com.amazonaws.sqs#ServiceUnavailable", nil)
	case f == unavailable:
		return failure(http.StatusInternalServerError, "com.amazonaws.dynamodb.v20120810#InternalServerError", nil)
	case sqs:
		return failure(http.StatusBadRequest, "com.amazonaws.sqs#RequestThrottled", nil)
	case f == conflicted && operation == "UpdateItem":
		return failure(http.StatusBadRequest, "com.amazonaws.dynamodb.v20120810#TransactionConflictException", nil)
	case f == conflicted && operation == "TransactWriteItems":
		return failure(http.StatusBadRequest, "com.amazonaws.dynamodb.v20120810#TransactionCanceledException", conflictOf(q.body))
	default:
		return failure(http.StatusBadRequest, "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException", nil)
	}
}

// conflictOf says that another transaction has the last item of this one.
func conflictOf(body []byte) map[string]any {
	var in struct{ TransactItems []json.RawMessage }
	if err := json.Unmarshal(body, &in); err != nil || len(in.TransactItems) == 0 {
		panic("a transaction without items")
	}
	reasons := make([]map[string]string, len(in.TransactItems))
	for i := range reasons {
		reasons[i] = map[string]string{"Code": "None"}
	}
	reasons[len(reasons)-1] = map[string]string{"Code": "TransactionConflict", "Message": "Transaction is ongoing for the item"}
	return map[string]any{"CancellationReasons": reasons}
}

func failure(status int, code string, more map[string]any) *answer {
	fields := map[string]any{"__type": code, "message": "not now"}
	for name, v := range more {
		fields[name] = v
	}
	body, err := json.Marshal(fields)
	if err != nil {
		panic(err)
	}
	return &answer{status: status, body: body, header: http.Header{
		"Content-Type": {"application/x-amz-json-1.0"},
		"X-Amz-Crc32":  {strconv.FormatUint(uint64(crc32.ChecksumIEEE(body)), 10)},
	}}
}
