package iam

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
)

// Enforcer refuses requests to the embedded services that their caller may not make. A caller is
// known by its access key's id.
type Enforcer struct {
	// Policies are those of the template. A caller with the access key id NAME has the policy NAME;
	// one without a policy may do everything. That of a queue is called <queue>Policy.
	Policies map[string]Policy
	// Principal returns the ARN of a caller, by which a queue's policy knows it. Default: the name.
	Principal func(caller string) string
	// Resource returns the resource that a name in a request means: of a table, queue (its URL's
	// last part), secret or log group. Default: the name.
	Resource func(name string) string

	mu      sync.Mutex
	refused []string
	made    map[string]map[Made]bool
}

// Made is an action that a caller made, on a resource.
type Made struct{ Action, Resource string }

// Refused returns what was refused, and to whom.
func (e *Enforcer) Refused() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.refused
}

// Made returns what a caller did.
func (e *Enforcer) Made(caller string) map[Made]bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.made[caller]
}

// Wrap returns a handler that passes allowed requests on.
func (e *Enforcer) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		caller := callerOf(r)
		if refused := e.check(caller, target(r), body); refused != "" {
			w.Header().Set("X-Amzn-Errortype", "AccessDeniedException") // where clients of REST APIs read it
			w.Header().Set("Content-Type", "application/x-amz-json-1.0")
			w.WriteHeader(http.StatusBadRequest)
			_ = json.NewEncoder(w).Encode(map[string]string{"__type": "com.amazonaws#AccessDeniedException", "message": "User: " + caller + " is not authorized to perform: " + refused})
			return
		}
		next.ServeHTTP(w, r)
	})
}

// check returns the action that is refused, "" if none is.
func (e *Enforcer) check(caller, target string, body []byte) string {
	policy, known := e.Policies[caller]
	if !known {
		return ""
	}
	requests, err := e.requests(target, body)
	e.mu.Lock()
	defer e.mu.Unlock()
	if err != nil {
		e.refused = append(e.refused, fmt.Sprintf("%s: %s: %v", caller, target, err))
		return target
	}
	for _, r := range requests {
		if r.Principal = caller; e.Principal != nil {
			r.Principal = e.Principal(caller)
		}
		if !policy.Allows(r) || e.Policies[r.Resource+"Policy"].Denies(r) {
			e.refused = append(e.refused, fmt.Sprintf("%s: %s on %s %v", caller, r.Action, r.Resource, r.Keys))
			return r.Action
		}
		if e.made == nil {
			e.made = map[string]map[Made]bool{}
		}
		if e.made[caller] == nil {
			e.made[caller] = map[Made]bool{}
		}
		e.made[caller][Made{r.Action, r.Resource}] = true
	}
	return ""
}

// target is what names a request's service and operation, that of REST APIs made of their paths.
func target(r *http.Request) string {
	uuid, isLambda := strings.CutPrefix(r.URL.Path, "/2015-03-31/event-source-mappings")
	uuid = strings.Trim(uuid, "/")
	switch {
	case !isLambda:
		return r.Header.Get("X-Amz-Target")
	case uuid == "":
		return "lambda.ListEventSourceMappings"
	case r.Method == http.MethodPut:
		return "lambda.UpdateEventSourceMapping/" + uuid
	}
	return "lambda.GetEventSourceMapping/" + uuid
}

// mapping is the ARN of an event source mapping, as a policy has it, and any for none.
func (e *Enforcer) mapping(uuid string) string {
	if uuid == "" {
		return "*"
	}
	return "arn:AWS::Partition:lambda:AWS::Region:AWS::AccountId:event-source-mapping:" + e.resource(uuid)
}

func callerOf(r *http.Request) string {
	_, credential, _ := strings.Cut(r.Header.Get("Authorization"), "Credential=")
	id, _, _ := strings.Cut(credential, "/")
	return id
}

// requests are the actions that a request is checked for: each part of a transaction has its own,
// and batches of SQS that of one message.
func (e *Enforcer) requests(target string, body []byte) ([]Request, error) {
	service, operation, _ := strings.Cut(target, ".")
	if service == "lambda" { // REST: its paths name the resource
		operation, uuid, _ := strings.Cut(operation, "/")
		return []Request{{Action: "lambda:" + operation, Resource: e.mapping(uuid)}}, nil
	}
	var in struct {
		TableName, IndexName, QueueUrl, SecretId, LogGroupName string
		RequestItems                                           map[string]any
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, err
	}
	switch {
	case strings.HasPrefix(service, "AmazonSQS"):
		name := in.QueueUrl[strings.LastIndexByte(in.QueueUrl, '/')+1:]
		return []Request{{Action: "sqs:" + strings.TrimSuffix(operation, "Batch"), Resource: e.resource(name)}}, nil
	case strings.HasPrefix(service, "Logs_"):
		return []Request{{Action: "logs:" + operation, Resource: e.resource(in.LogGroupName)}}, nil
	case service == "secretsmanager":
		return []Request{{Action: "secretsmanager:" + operation, Resource: e.resource(in.SecretId)}}, nil
	case operation == "TransactWriteItems":
		return e.transaction(body)
	}
	for table := range in.RequestItems {
		in.TableName = table
	}
	r := Request{Action: "dynamodb:" + operation, Resource: e.resource(in.TableName)}
	if in.IndexName != "" {
		r.Resource += "/index/" + in.IndexName
	}
	if in.RequestItems == nil && operation != "Scan" && operation != "Query" {
		var one struct{ Key, Item map[string]json.RawMessage }
		if err := json.Unmarshal(body, &one); err != nil {
			return nil, err
		}
		r.Keys = keyOf(one.Key, one.Item)
	}
	return []Request{r}, nil
}

func (e *Enforcer) transaction(body []byte) (all []Request, err error) {
	var in struct {
		TransactItems []map[string]struct {
			TableName string
			Key, Item map[string]json.RawMessage
		}
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, err
	}
	for _, action := range in.TransactItems {
		for kind, i := range action {
			name := map[string]string{"Put": "PutItem", "Update": "UpdateItem", "Delete": "DeleteItem", "ConditionCheck": "ConditionCheckItem"}[kind]
			all = append(all, Request{Action: "dynamodb:" + name, Resource: e.resource(i.TableName), Keys: keyOf(i.Key, i.Item)})
		}
	}
	return all, nil
}

// keyOf returns the table's key of an item.
func keyOf(attributes ...map[string]json.RawMessage) []string {
	for _, a := range attributes {
		var key struct{ S string }
		if json.Unmarshal(a["pk"], &key) == nil && key.S != "" {
			return []string{key.S}
		}
	}
	return nil
}

func (e *Enforcer) resource(name string) string {
	if e.Resource == nil {
		return name
	}
	return e.Resource(name)
}
