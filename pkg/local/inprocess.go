package local

import (
	"bytes"
	"io"
	"net/http"
)

// inProcess is the transport of clients whose server is a handler in this process.
type inProcess struct{ handler http.Handler }

// RoundTrip implements [http.RoundTripper]: it returns when the handler does, at the latest
// soon after the request's context ends.
func (p inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	served := r.Clone(r.Context())
	if served.Body == nil {
		served.Body = http.NoBody
	}
	defer served.Body.Close()
	if served.Host == "" {
		served.Host = served.URL.Host
	}
	w := &recorded{status: http.StatusOK, header: http.Header{}}
	p.handler.ServeHTTP(w, served)
	return &http.Response{
		Status: http.StatusText(w.status), StatusCode: w.status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: w.header, Body: io.NopCloser(&w.body), ContentLength: int64(w.body.Len()), Request: r,
	}, nil
}

// recorded is an answer in memory.
type recorded struct {
	status int
	header http.Header
	body   bytes.Buffer
}

func (w *recorded) Header() http.Header         { return w.header }
func (w *recorded) WriteHeader(status int)      { w.status = status }
func (w *recorded) Write(p []byte) (int, error) { return w.body.Write(p) }
