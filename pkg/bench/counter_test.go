package bench

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"

	"tollgate/pkg/limits"
)

// counts are what AWS bills, by name; see prices.
type counts map[string]float64

func (c counts) minus(before counts) counts {
	out := maps.Clone(c)
	for name, n := range before {
		out[name] -= n
	}
	return out
}

// add adds n times another count.
func (c counts) add(other counts, n float64) {
	for name, v := range other {
		c[name] += n * v
	}
}

func (c counts) times(n float64) counts {
	out := counts{}
	out.add(c, n)
	return out
}

// counter passes requests to the embedded services and counts what AWS bills for them. It
// asks the table for the capacity that each request consumed.
type counter struct {
	next http.Handler

	mu       sync.Mutex
	sum      counts
	messages []string // the bodies sent to the queue
	down     bool     // the table answers 500, which AWS does not bill
}

func (c *counter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	service, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	table := strings.HasPrefix(service, "DynamoDB") && !strings.HasSuffix(operation, "Table")
	c.mu.Lock()
	down := c.down && table
	c.mu.Unlock()
	if down {
		w.Header().Set("Content-Type", "application/x-amz-json-1.0")
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	if table {
		body = append([]byte(`{"ReturnConsumedCapacity":"TOTAL",`), bytes.TrimPrefix(body, []byte("{"))...)
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	answer := httptest.NewRecorder()
	c.next.ServeHTTP(answer, r)
	c.mu.Lock()
	if table {
		c.sum.add(capacity(operation, body, answer), 1)
	} else {
		c.sum.add(c.queue(service, operation, body), 1)
	}
	c.mu.Unlock()
	maps.Copy(w.Header(), answer.Header())
	w.WriteHeader(answer.Code)
	_, _ = w.Write(answer.Body.Bytes())
}

// queue counts a request to SQS: every begun 64 KiB of a message is one.
func (c *counter) queue(service, operation string, body []byte) counts {
	switch {
	case service == "secretsmanager":
		return counts{secretCalls: 1}
	case operation != "SendMessage":
		return counts{sqsRequests: 1}
	}
	var in struct{ MessageBody string }
	_ = json.Unmarshal(body, &in) // the service has read it
	c.messages = append(c.messages, in.MessageBody)
	return counts{sqsRequests: float64((len(in.MessageBody) + 64<<10 - 1) / (64 << 10))}
}

// capacity is that of a request to the table. A refused write has none in its answer and is
// billed like an applied one; all items are under 1 KB.
func capacity(operation string, body []byte, answer *httptest.ResponseRecorder) counts {
	unit := readUnits
	if slices.Contains([]string{"PutItem", "UpdateItem", "DeleteItem", "TransactWriteItems"}, operation) {
		unit = writeUnits
	}
	if answer.Code != http.StatusOK {
		var in struct{ TransactItems []json.RawMessage }
		_ = json.Unmarshal(body, &in)
		return counts{unit: max(1, 2*float64(len(in.TransactItems)))}
	}
	type consumed struct{ CapacityUnits float64 }
	var out struct{ ConsumedCapacity json.RawMessage }
	var one consumed
	var all []consumed
	_ = json.Unmarshal(answer.Body.Bytes(), &out)
	if json.Unmarshal(out.ConsumedCapacity, &all) != nil && json.Unmarshal(out.ConsumedCapacity, &one) == nil {
		all = append(all, one)
	}
	sum := 0.0
	for _, u := range all {
		sum += u.CapacityUnits
	}
	if operation == "GetItem" && bytes.Contains(body, []byte(`"`+limits.KeyPause+`"`)) {
		unit = pauseReads
	}
	return counts{unit: sum}
}
