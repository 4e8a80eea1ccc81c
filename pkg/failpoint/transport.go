//go:build failpoints && unix

package failpoint

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"path"
	"regexp"
	"strings"
)

// Transport adds a point before and after each request: "<caller>.<call>.before" and
// ".after". AWS calls have AWS's names, except the writes of a record and of a delivery; a webhook
// to a destination is "send".
func Transport(caller string, base http.RoundTripper) http.RoundTripper {
	return transport{caller, base, At}
}

type transport struct {
	caller string
	base   http.RoundTripper
	at     func(point string)
}

// RoundTrip implements http.RoundTripper.
func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	name, err := callOf(r)
	if err != nil {
		return nil, err
	}
	if name == "SendMessageBatch" && t.caller == "consumer" {
		name = "handover" // of jobs
	}
	t.at(t.caller + "." + name + ".before")
	res, err := t.base.RoundTrip(r)
	t.at(t.caller + "." + name + ".after")
	return res, err
}

// callOf names a request: an operation of the AWS JSON protocols, or the last part of
// the path, as "next" and "response" of Lambda's Runtime API.
func callOf(r *http.Request) (string, error) {
	_, operation, ok := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	switch {
	case r.Header.Get("Webhook-Id") != "":
		return "send", nil
	case !ok:
		return path.Base(r.URL.Path), nil
	}
	if operation != "UpdateItem" && operation != "PutItem" && operation != "TransactWriteItems" {
		return operation, nil
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return "", err
	}
	r.Body.Close()
	r.Body = io.NopCloser(bytes.NewReader(body))
	return writeOf(operation, body), nil
}

// writeOf names a write of a record by the state that it sets, and by whether a run without a
// claim makes it.
func writeOf(operation string, body []byte) string {
	var in struct {
		UpdateExpression string
		Item             struct {
			State struct{ S string } `json:"st"`
		}
		TransactItems []struct{ Put *struct{} }
	}
	known := json.Unmarshal(body, &in) == nil
	switch atOnce := known && len(in.TransactItems) > 0 && in.TransactItems[0].Put != nil; {
	case atOnce:
		return "done_at_once_with_effects"
	case operation == "TransactWriteItems":
		return "complete_with_effects"
	case in.Item.State.S != "":
		return strings.ToLower(in.Item.State.S) + "_at_once"
	}
	if strings.Contains(in.UpdateExpression, "sent_at=") {
		return "mark" // of a message as sent
	}
	if known {
		set := regexp.MustCompile(`\bst=:(running|done|failed|begin|end)\b`).FindStringSubmatch(in.UpdateExpression)
		if set != nil {
			return map[string]string{"running": "claim", "done": "complete", "failed": "fail", "begin": "begin", "end": "end"}[set[1]]
		}
	}
	return operation
}
