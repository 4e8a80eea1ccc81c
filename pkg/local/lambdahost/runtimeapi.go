package lambdahost

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"sync"

	"tollgate/pkg/local/loopback"
)

// runtimeAPI is Lambda's Runtime API for one process, and the state of that process.
// Each process has its own address, so a request needs no process id. The address ends
// with a random key, which the process gets from its environment: no other program can
// take its invocations.
type runtimeAPI struct {
	arn string
	key string // the first part of each path

	jobs    chan *invocation    // received in next
	parked  chan struct{}       // one token each time the process begins to wait in next
	answers chan outcome        // one for each invocation that the process took
	initErr chan *FunctionError // what the process reported instead of starting

	mu      sync.Mutex
	phase   phase
	current string // request id of the invocation that has no answer yet
	asking  bool   // a request for the next invocation is open
}

// phase is the state of a process.
type phase int

const (
	starting phase = iota // has not asked for an invocation yet; next leads to waiting
	waiting               // is in next; an invocation leads to running
	running               // has an invocation; its answer leads to answered
	answered              // has not asked again yet; next leads to waiting
)

// outcome is the result of an invocation: a payload or an error.
type outcome struct {
	payload []byte
	err     error
}

const apiPath = "/2018-06-01/runtime/"

func newRuntimeAPI(arn string) *runtimeAPI {
	return &runtimeAPI{
		arn:     arn,
		key:     rand.Text(),
		jobs:    make(chan *invocation),
		parked:  make(chan struct{}, 1),
		answers: make(chan outcome, 1),
		initErr: make(chan *FunctionError, 1),
	}
}

func (a *runtimeAPI) handler() http.Handler {
	mux, path := http.NewServeMux(), "/"+a.key+apiPath
	mux.HandleFunc("GET "+path+"invocation/next", a.next)
	mux.HandleFunc("POST "+path+"invocation/{id}/response", a.response)
	mux.HandleFunc("POST "+path+"invocation/{id}/error", a.failure)
	mux.HandleFunc("POST "+path+"init/error", a.initFailure)
	return loopback.Programs(mux)
}

// next parks the process until there is an invocation for it.
func (a *runtimeAPI) next(w http.ResponseWriter, r *http.Request) {
	if !a.park() {
		refuse(w, http.StatusForbidden, "InvalidStateTransition", "the last invocation has no answer yet, or another request waits for the next one")
		return
	}
	select {
	case inv := <-a.jobs:
		a.take(inv)
		h := w.Header()
		h.Set("Content-Type", "application/json")
		h.Set("Content-Length", strconv.Itoa(len(inv.payload)))
		h.Set("Lambda-Runtime-Aws-Request-Id", inv.id)
		h.Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(inv.deadline.UnixMilli(), 10))
		h.Set("Lambda-Runtime-Invoked-Function-Arn", a.arn)
		h.Set("Lambda-Runtime-Trace-Id", inv.traceID)
		w.Write(inv.payload) // fails only if the process has ended, which is seen elsewhere
	case <-r.Context().Done():
		a.leave()
	}
}

// park reports whether the process may wait for an invocation. Only one request waits at
// a time; a process that lost its connection may ask again.
func (a *runtimeAPI) park() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.phase == running || a.asking {
		return false
	}
	a.asking = true
	if a.phase != waiting {
		a.phase = waiting
		a.parked <- struct{}{} // the owner has taken the token of the last time
	}
	return true
}

func (a *runtimeAPI) leave() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asking = false
}

func (a *runtimeAPI) take(inv *invocation) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.phase, a.current, a.asking = running, inv.id, false
}

// answer ends the invocation id; false if the process does not run it.
func (a *runtimeAPI) answer(id string, out outcome) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.phase != running || a.current != id {
		return false
	}
	a.phase, a.current = answered, ""
	a.answers <- out
	return true
}

func (a *runtimeAPI) runs(id string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.phase == running && a.current == id
}

func (a *runtimeAPI) response(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	body, ok := a.readAnswer(w, r, id, MaxResponseBytes)
	if !ok {
		return
	}
	out := outcome{payload: body}
	status := http.StatusAccepted
	if len(body) > MaxResponseBytes {
		status = http.StatusRequestEntityTooLarge
		out = outcome{err: hostError(TypeResponseTooLarge, id,
			"Response payload size exceeded maximum allowed payload size (%d bytes).", MaxResponseBytes)}
	} else if failed := trailerError(id, r.Trailer); failed != nil {
		out = outcome{err: failed}
	}
	a.finish(w, id, out, status)
}

func (a *runtimeAPI) failure(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	body, ok := a.readAnswer(w, r, id, maxErrorBytes)
	if !ok {
		return
	}
	body = body[:min(len(body), maxErrorBytes)]
	failed := reportedError(id, r.Header.Get("Lambda-Runtime-Function-Error-Type"), body)
	a.finish(w, id, outcome{err: failed}, http.StatusAccepted)
}

// readAnswer reads up to one byte more than the limit of the answer to id.
func (a *runtimeAPI) readAnswer(w http.ResponseWriter, r *http.Request, id string, limit int64) ([]byte, bool) {
	if !a.runs(id) {
		refuseID(w)
		return nil, false
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, limit+1))
	if err != nil {
		refuse(w, http.StatusBadRequest, "InvalidRequest", "the body ended early")
		return nil, false
	}
	return body, true
}

func (a *runtimeAPI) finish(w http.ResponseWriter, id string, out outcome, status int) {
	switch {
	case !a.answer(id, out):
		refuseID(w)
	case status == http.StatusRequestEntityTooLarge:
		refuse(w, status, "RequestEntityTooLarge", out.err.Error())
	default:
		reply(w, status, map[string]string{"status": "OK"})
	}
}

func (a *runtimeAPI) initFailure(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxErrorBytes))
	if err != nil {
		refuse(w, http.StatusBadRequest, "InvalidRequest", "the body ended early")
		return
	}
	a.mu.Lock()
	early := a.phase == starting
	a.mu.Unlock()
	if !early {
		refuse(w, http.StatusForbidden, "InvalidStateTransition", "the function has started already")
		return
	}
	select {
	case a.initErr <- reportedError("", r.Header.Get("Lambda-Runtime-Function-Error-Type"), body):
	default: // the first report counts
	}
	reply(w, http.StatusAccepted, map[string]string{"status": "OK"})
}

// trailerError reads the error of a function that failed while it wrote its answer.
func trailerError(id string, trailer http.Header) *FunctionError {
	errorType := trailer.Get("Lambda-Runtime-Function-Error-Type")
	if errorType == "" {
		return nil
	}
	body, err := base64.StdEncoding.DecodeString(trailer.Get("Lambda-Runtime-Function-Error-Body"))
	if err != nil {
		body = nil
	}
	return reportedError(id, errorType, body)
}

func refuseID(w http.ResponseWriter) {
	refuse(w, http.StatusBadRequest, "InvalidRequestID", "the process does not run that invocation")
}

func refuse(w http.ResponseWriter, status int, errorType, message string) {
	reply(w, status, map[string]string{"errorType": errorType, "errorMessage": message})
}

func reply(w http.ResponseWriter, status int, body map[string]string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(body) // fails only if the process has ended, which is seen elsewhere
}
