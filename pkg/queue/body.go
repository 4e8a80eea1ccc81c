package queue

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"

	"tollgate/pkg/limits"
)

// Encodings of an event's bytes in a message.
const (
	encodingBase64 = "base64"
	encodingZstd   = "zstd+base64"
	encodingNone   = "none" // id-only: the event is fetched from Stripe
)

// pack returns the encoding of body in a message, and the bytes to encode in base64.
func pack(body []byte) (encoding string, packed []byte, err error) {
	switch {
	case body == nil || len(body) > limits.MaxBody:
		return encodingNone, nil, nil
	case len(body) <= limits.CompressOver:
		return encodingBase64, body, nil
	}
	packed, err = compress(body)
	return encodingZstd, packed, err
}

func unpack(encoding string, body []byte) ([]byte, error) {
	switch encoding {
	case encodingNone:
		if len(body) > 0 {
			return nil, errors.New("id-only message with a body")
		}
		return nil, nil
	case encodingBase64, encodingZstd:
	default:
		return nil, fmt.Errorf("body encoding %+.40q is unknown", encoding)
	}
	raw, err := base64.StdEncoding.AppendDecode(make([]byte, 0, base64.StdEncoding.DecodedLen(len(body))), body)
	if err != nil {
		return nil, errors.New("body is not base64")
	}
	if encoding == encodingBase64 {
		return raw, nil
	}
	return decompress(raw)
}

// compress creates an encoder per call: its tables are larger than most events, so a
// process holds them only while it compresses.
func compress(body []byte) ([]byte, error) {
	w, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true))
	if err != nil {
		return nil, fmt.Errorf("compress body: %w", err)
	}
	defer w.Close()
	return w.EncodeAll(body, nil), nil
}

// decompress stops at limits.MaxBody, and its window with it, so that a small message
// cannot grow without bound.
func decompress(packed []byte) ([]byte, error) {
	r, err := zstd.NewReader(bytes.NewReader(packed), zstd.WithDecoderConcurrency(1),
		zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxMemory(2*limits.MaxBody))
	if err != nil {
		return nil, fmt.Errorf("decompress body: %w", err)
	}
	defer r.Close()
	raw, err := io.ReadAll(io.LimitReader(r, limits.MaxBody+1))
	if err != nil {
		return nil, errors.New("body is not zstd of a bounded size")
	}
	if len(raw) > limits.MaxBody {
		return nil, fmt.Errorf("body is over %d bytes", limits.MaxBody)
	}
	return raw, nil
}
