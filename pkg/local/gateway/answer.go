package gateway

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// answer is a function's response as the HTTP API reads it.
type answer struct {
	status  int
	headers map[string]string
	cookies []string
	body    []byte
}

const (
	defaultAnswerType = "text/plain;charset=UTF-8" // of an answer without a type
	inferredType      = "application/json"         // of a response that is not an answer object
)

// readAnswer reads a function's response: an object with a statusCode is the answer; any
// other JSON value is the body of a 200, a string without its quotes. Member names are
// case-sensitive.
func readAnswer(returned []byte) (answer, error) {
	var members map[string]json.RawMessage
	err := json.Unmarshal(returned, &members)
	if err == nil && members["statusCode"] != nil {
		return readMembers(members)
	}
	if !json.Valid(returned) {
		return answer{}, errors.New("it is not JSON")
	}
	a := answer{status: http.StatusOK, headers: map[string]string{"content-type": inferredType}}
	a.body = bytes.TrimSpace(returned)
	var text string
	if a.body[0] == '"' && json.Unmarshal(a.body, &text) == nil {
		a.body = []byte(text)
	}
	return a, nil
}

func readMembers(members map[string]json.RawMessage) (answer, error) {
	var a answer
	var headers map[string]json.RawMessage
	var body string
	var isBase64 bool
	for name, target := range map[string]any{
		"statusCode": &a.status, "headers": &headers, "cookies": &a.cookies,
		"body": &body, "isBase64Encoded": &isBase64,
	} {
		if value := members[name]; value != nil && json.Unmarshal(value, target) != nil {
			return answer{}, fmt.Errorf("its %s is of a wrong type", name) // the value may be secret
		}
	}
	if a.status < 200 || a.status > 599 {
		return answer{}, fmt.Errorf("its statusCode %d is not in 200 to 599", a.status)
	}
	a.body = []byte(body)
	if isBase64 {
		decoded, err := base64.StdEncoding.DecodeString(body)
		if err != nil {
			return answer{}, errors.New("its body is not base64")
		}
		a.body = decoded
	}
	var err error
	a.headers, err = readHeaders(headers)
	return a, err
}

// readHeaders accepts strings, numbers and booleans as values.
func readHeaders(raw map[string]json.RawMessage) (map[string]string, error) {
	all := make(map[string]string, len(raw)+1)
	for name, value := range raw {
		name = strings.ToLower(name)
		text := string(value)
		switch text[0] {
		case '{', '[', 'n':
			return nil, fmt.Errorf("its header %q is not text", name)
		case '"':
			if err := json.Unmarshal(value, &text); err != nil {
				return nil, fmt.Errorf("its header %q is not text", name)
			}
		}
		all[name] = text
	}
	if all["content-type"] == "" {
		all["content-type"] = defaultAnswerType
	}
	return all, nil
}

// write sends the answer, without headers that belong to the connection.
func (a answer) write(w http.ResponseWriter) {
	h := w.Header()
	for name, value := range a.headers {
		if !hopByHop(name) && name != "content-length" {
			h.Set(name, value)
		}
	}
	for _, c := range a.cookies {
		h.Add("Set-Cookie", c)
	}
	w.WriteHeader(a.status)
	if a.status != http.StatusNoContent && a.status != http.StatusNotModified {
		w.Write(a.body) // fails only if the client is gone
	}
}
