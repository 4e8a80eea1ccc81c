package sqs

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
)

// receipt names one receive of one message.
type receipt struct {
	queue    uint64
	seq      uint64
	receives uint32 // the message's count at that receive
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
	b := make([]byte, 0, receiptBytes+receiptMAC)
	b = append(b, receiptVersion)
	b = binary.BigEndian.AppendUint64(b, r.queue)
	b = binary.BigEndian.AppendUint64(b, r.seq)
	b = binary.BigEndian.AppendUint32(b, r.receives)
	return base64.StdEncoding.EncodeToString(append(b, s.mac(b)...))
}

// open verifies and reads a handle; false if seal did not make it with this key.
func (s receiptSealer) open(handle string) (receipt, bool) {
	b, err := base64.StdEncoding.Strict().DecodeString(handle)
	if err != nil || len(b) != receiptBytes+receiptMAC || b[0] != receiptVersion {
		return receipt{}, false
	}
	if !hmac.Equal(s.mac(b[:receiptBytes]), b[receiptBytes:]) {
		return receipt{}, false
	}
	return receipt{
		queue:    binary.BigEndian.Uint64(b[1:]),
		seq:      binary.BigEndian.Uint64(b[9:]),
		receives: binary.BigEndian.Uint32(b[17:]),
	}, true
}
