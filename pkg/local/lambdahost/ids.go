package lambdahost

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"time"
)

// newRequestID returns a random UUID (version 4).
func newRequestID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// newTraceID returns an X-Ray trace header that asks for no sampling.
func newTraceID(now time.Time) string {
	return fmt.Sprintf("Root=1-%08x-%s;Sampled=0", uint32(now.Unix()), randomHex(12))
}

// newLogStream returns a log stream name as Lambda makes one per environment.
func newLogStream(now time.Time) string {
	return now.UTC().Format("2006/01/02") + "/[" + functionVersion + "]" + randomHex(16)
}

func randomHex(bytes int) string {
	b := make([]byte, bytes)
	rand.Read(b) // never fails
	return hex.EncodeToString(b)
}
