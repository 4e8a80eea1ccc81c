package sqs

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
)

// receipt names one receive of one message.
type receipt struct {
	Version  uint8
	Queue    uint64
	Seq      uint64
	Receives uint32 // the message's count at that receive
}

const (
	receiptVersion = 1
	receiptBytes   = 1 + 8 + 8 + 4
	receiptMAC     = 16
)

// receiptSealer signs receipts as handles, with a key that is in the file.
type receiptSealer struct{ key []byte }

func (s receiptSealer) mac(b []byte) []byte {
	h := hmac.New(sha256.New, s.key)
	h.Write(b)
	return h.Sum(nil)[:receiptMAC]
}

func (s receiptSealer) seal(r receipt) string {
	r.Version = receiptVersion
	b, _ := binary.Append(nil, binary.BigEndian, r) // numbers cannot fail
	return base64.StdEncoding.EncodeToString(append(b, s.mac(b)...))
}

// open verifies and reads a handle; false if seal did not make it with this key.
func (s receiptSealer) open(handle string) (r receipt, ok bool) {
	b, err := base64.StdEncoding.Strict().DecodeString(handle)
	if err != nil || len(b) != receiptBytes+receiptMAC || !hmac.Equal(s.mac(b[:receiptBytes]), b[receiptBytes:]) {
		return r, false
	}
	_, err = binary.Decode(b, binary.BigEndian, &r)
	return r, err == nil && r.Version == receiptVersion
}
