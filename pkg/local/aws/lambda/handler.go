package lambda

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	"tollgate/pkg/local/aws/awsjson"
)

// Path begins the paths of Lambda's REST API.
const Path = "/2015-03-31/"

const (
	mappingsPath = Path + "event-source-mappings"
	maxBody      = 64 << 10
)

// Handler serves requests that are signed with this access key; "" takes any.
func (m *Mappings) Handler(accessKeyID string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if accessKeyID != "" && !awsjson.HasKey(r, accessKeyID) {
			refuse(w, http.StatusForbidden, "UnrecognizedClientException", "The security token included in the request is invalid.")
			return
		}
		uuid, isOne := strings.CutPrefix(r.URL.Path, mappingsPath+"/")
		isOne = isOne && uuid != ""
		switch {
		case strings.TrimSuffix(r.URL.Path, "/") == mappingsPath && r.Method == http.MethodGet:
			m.list(w, r)
		case isOne && r.Method == http.MethodGet:
			m.one(w, uuid)
		case isOne && r.Method == http.MethodPut:
			m.update(w, r, uuid)
		default:
			refuse(w, http.StatusBadRequest, "UnknownOperationException", fmt.Sprintf("%s %s is not supported by this embedded service", r.Method, r.URL.Path))
		}
	})
}

// list answers all mappings on one page.
func (m *Mappings) list(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	if query.Has("FunctionName") || query.Has("Marker") {
		refuse(w, http.StatusBadRequest, "InvalidParameterValueException", "this embedded service finds mappings by EventSourceArn alone")
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	all := []any{}
	for _, one := range m.all {
		if arn := query.Get("EventSourceArn"); arn == "" || arn == one.EventSourceARN {
			all = append(all, one.wire())
		}
	}
	answer(w, http.StatusOK, map[string]any{"EventSourceMappings": all})
}

func (m *Mappings) one(w http.ResponseWriter, uuid string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	one := m.find(uuid)
	if one == nil {
		refuseMissing(w)
		return
	}
	answer(w, http.StatusOK, one.wire())
}

func (m *Mappings) update(w http.ResponseWriter, r *http.Request, uuid string) {
	var asked struct{ Enabled *bool }
	body := json.NewDecoder(io.LimitReader(r.Body, maxBody))
	body.DisallowUnknownFields()
	if err := body.Decode(&asked); err != nil || asked.Enabled == nil || body.More() {
		refuse(w, http.StatusBadRequest, "InvalidParameterValueException", "this embedded service updates the member Enabled alone")
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	one := m.find(uuid)
	if one == nil {
		refuseMissing(w)
		return
	}
	if state := one.state(); state == "Enabling" || state == "Disabling" {
		refuse(w, http.StatusBadRequest, "ResourceInUseException", fmt.Sprintf("Cannot update the event source mapping because it is %s.", state))
		return
	}
	if err := m.set(one, *asked.Enabled); err != nil {
		refuse(w, http.StatusInternalServerError, "ServiceException", err.Error())
		return
	}
	answer(w, http.StatusAccepted, one.wire())
}

// wire is a mapping as Lambda answers it. m.mu is held.
func (one *mapping) wire() map[string]any {
	return map[string]any{
		"UUID": one.UUID, "EventSourceArn": one.EventSourceARN, "FunctionArn": one.FunctionARN, "State": one.state(),
		"StateTransitionReason": "USER_INITIATED", "LastModified": float64(one.modified.UnixMilli()) / 1000,
		"BatchSize": one.BatchSize, "MaximumBatchingWindowInSeconds": 0, "FunctionResponseTypes": []string{"ReportBatchItemFailures"},
		"ScalingConfig": map[string]int{"MaximumConcurrency": one.MaximumConcurrency},
	}
}

func refuseMissing(w http.ResponseWriter) {
	refuse(w, http.StatusNotFound, "ResourceNotFoundException", "The resource you requested does not exist.")
}

func refuse(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("X-Amzn-Errortype", code)
	answer(w, status, map[string]string{"Type": "User", "Message": message, "message": message})
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // only the connection can fail
}
