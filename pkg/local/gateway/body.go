package gateway

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
)

const (
	// headBytes of each body are read before it takes its share of the budget, so that
	// connections that send nothing take none.
	headBytes = 16 << 10
	// bytesPerByte is the most memory that one byte of a body needs: in the growing
	// buffer, in the event's text and in the event's JSON.
	bytesPerByte = 6
)

// readBody reads a complete body of at most MaxEventBytes, which no event can exceed. An
// incomplete body is an error. On success the caller must call release when it no longer
// needs the body.
func (g *Gateway) readBody(r *http.Request) (body []byte, release func(), err error) {
	if r.ContentLength > MaxEventBytes {
		return nil, nil, refused(http.StatusRequestEntityTooLarge)
	}
	head, err := io.ReadAll(io.LimitReader(r.Body, headBytes))
	if err != nil {
		return nil, nil, readFailure(err)
	}
	size := int64(len(head))
	if size == headBytes {
		if size = r.ContentLength; size < 0 {
			size = MaxEventBytes
		}
	}
	release, err = g.reserve(r.Context(), size*bytesPerByte)
	if err != nil {
		return nil, nil, err
	}
	body, err = readRest(r.Body, head, size)
	if err != nil {
		release()
		return nil, nil, err
	}
	return body, release, nil
}

// readRest reads the rest of a body that is expected to have size bytes.
func readRest(from io.Reader, head []byte, size int64) ([]byte, error) {
	if len(head) < headBytes {
		return head, nil
	}
	var whole bytes.Buffer
	whole.Grow(int(min(size, 4*headBytes)) + bytes.MinRead)
	whole.Write(head)
	if _, err := whole.ReadFrom(io.LimitReader(from, MaxEventBytes+1-headBytes)); err != nil {
		return nil, readFailure(err)
	}
	if whole.Len() > MaxEventBytes {
		return nil, refused(http.StatusRequestEntityTooLarge)
	}
	return whole.Bytes(), nil
}

// reserve takes n bytes of the budget; waiting requests are served in order.
func (g *Gateway) reserve(ctx context.Context, n int64) (release func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, g.options.BodyWait)
	defer cancel()
	if g.budget.Acquire(ctx, n) != nil {
		return nil, refused(http.StatusServiceUnavailable)
	}
	return func() { g.budget.Release(n) }, nil
}

// readFailure distinguishes a slow client from a closed connection.
func readFailure(err error) *refusal {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return refused(http.StatusRequestTimeout)
	}
	return refused(http.StatusBadRequest)
}
