package stripe

import (
	"bytes"
	"crypto/sha256"
	"io"
	"net/http"
	"sync"
)

// maxReplays bounds how many idempotency keys are kept; the oldest are dropped first.
const maxReplays = 1000

// replay is the answer to a request with an idempotency key.
type replay struct {
	request [sha256.Size]byte
	body    []byte
}

// replays are the answers by account and key.
type replays struct {
	mu    sync.Mutex
	byKey map[[2]string]replay
	order [][2]string
}

// once runs a function once for each Idempotency-Key: a repeated request gets the first
// answer, and another request with the key is rejected. A request that was itself rejected
// changed nothing and may be retried with the key.
func (s *Fake) once(f apiFunc) apiFunc {
	return func(r *http.Request) ([]byte, *apiError) {
		key := [2]string{account(r), r.Header.Get("Idempotency-Key")}
		if key[1] == "" {
			return f(r)
		}
		body, err := readBody(r, maxFormBytes, "A form")
		if err != nil {
			return nil, err
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		request := sha256.Sum256(append([]byte(r.URL.RequestURI()+"\n"), body...))
		// Held while the function runs, so that two requests at the same time do not both run.
		s.replays.mu.Lock()
		defer s.replays.mu.Unlock()
		if old, again := s.replays.byKey[key]; again {
			if old.request != request {
				return nil, &apiError{status: http.StatusBadRequest, Type: "idempotency_error", Message: "Keys for idempotent requests can only be used with the same parameters they were first used with."}
			}
			return old.body, nil
		}
		answer, err := f(r)
		if err == nil {
			s.replays.keep(key, replay{request, answer})
		}
		return answer, err
	}
}

func (p *replays) keep(key [2]string, r replay) {
	if p.byKey == nil {
		p.byKey = map[[2]string]replay{}
	}
	p.byKey[key] = r
	if p.order = append(p.order, key); len(p.order) > maxReplays {
		delete(p.byKey, p.order[0])
		p.order = p.order[1:]
	}
}
