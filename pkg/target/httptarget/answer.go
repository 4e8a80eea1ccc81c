package httptarget

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"syscall"
	"time"

	"tollgate/pkg/delivery"
	"tollgate/pkg/egress"
)

// maxRetryAfter bounds a receiver's wish.
const maxRetryAfter = 12 * time.Hour

// answered is what a status means for the delivery.
func answered(a egress.Answer, now time.Time) delivery.Answer {
	out := delivery.Answer{Verdict: delivery.Stop, Status: a.Status, Err: fmt.Sprintf("answered %d", a.Status)}
	switch {
	case a.Status >= 200 && a.Status < 300:
		out.Verdict, out.Err = delivery.Done, ""
	case a.Status == http.StatusGone:
		out.Verdict = delivery.Disable
	case a.Status == http.StatusRequestTimeout, a.Status == http.StatusTooEarly, a.Status == http.StatusTooManyRequests, a.Status >= 500:
		out.Verdict, out.RetryAfter = delivery.Retry, retryAfter(a.Header.Get("Retry-After"), now)
	case a.Status >= 300 && a.Status < 400:
		out.Err += ": redirects are not followed"
	}
	return out
}

// retryAfter reads a number of seconds or an HTTP date. Anything else, and what is past, is 0.
func retryAfter(text string, now time.Time) time.Duration {
	var wish time.Duration
	if seconds, err := strconv.ParseUint(text, 10, 64); err == nil || errors.Is(err, strconv.ErrRange) {
		wish = time.Duration(min(seconds, uint64(maxRetryAfter/time.Second))) * time.Second
	} else if at, err := http.ParseTime(text); err == nil {
		wish = at.Sub(now)
	}
	return min(max(wish, 0), maxRetryAfter)
}

// unanswered is what an error means. The error's own text names addresses, so it is not shown.
func unanswered(err error) delivery.Answer {
	if errors.Is(err, egress.ErrRefused) {
		return delivery.Answer{Verdict: delivery.Stop, Err: "the URL or its address is refused by the guard against SSRF"}
	}
	return delivery.Answer{Verdict: delivery.Retry, Err: describe(err)}
}

func describe(err error) string {
	var timeout net.Error
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "timeout"
	case errors.Is(err, context.Canceled):
		return "cancelled"
	case has[*net.DNSError](err):
		return "the host's name was not resolved"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "connection closed without an answer"
	case has[*tls.CertificateVerificationError](err):
		return "the TLS certificate is not valid for the host"
	case errors.Is(err, http.ErrSchemeMismatch), has[tls.RecordHeaderError](err), has[tls.AlertError](err):
		return "TLS handshake failed"
	}
	return "network error"
}

func has[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}
