package dynamodb

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"time"

	"tollgate/pkg/local/aws/awsjson"
)

// tokenLife is how long a client token identifies a repeated transaction.
const tokenLife = 10 * time.Minute

// A token's record is 8 bytes of its end in milliseconds and the digest of its
// transaction. It is written in the transaction's own commit.

// digest identifies the content of a transaction; the writes are those of the request.
func digest(writes []transactWriteItem) ([]byte, error) {
	text, err := json.Marshal(writes)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(text)
	return sum[:], nil
}

// seenToken reports whether the same transaction has been committed under this
// token; another one under it is refused.
func seenToken(tx *transaction, token string, digest []byte, now time.Time) (bool, error) {
	record := tx.Bucket(bucketTokens).Get([]byte(token))
	if len(record) < 8 || int64(binary.BigEndian.Uint64(record)) <= now.UnixMilli() {
		return false, nil
	}
	if !bytes.Equal(record[8:], digest) {
		return false, awsjson.Errorf("IdempotentParameterMismatchException",
			"The provided client token was already used with different request parameters")
	}
	return true, nil
}

// rememberToken records a token with its transaction.
func rememberToken(tx *transaction, token string, digest []byte, now time.Time) error {
	end := binary.BigEndian.AppendUint64(nil, uint64(now.Add(tokenLife).UnixMilli()))
	if err := tx.Bucket(bucketTokens).Put([]byte(token), append(bytes.Clone(end), digest...)); err != nil {
		return err
	}
	return tx.Bucket(bucketTokenEnds).Put(append(end, token...), nil)
}

// forgetTokens deletes a batch of expired tokens and returns how many. A token that was used
// again has a later record, which stays.
func forgetTokens(tx *transaction, now time.Time) (n int, err error) {
	ends, tokens := tx.Bucket(bucketTokenEnds), tx.Bucket(bucketTokens)
	for ; n < sweepBatch && err == nil; n++ {
		k, _ := ends.Cursor().First()
		if k == nil || int64(binary.BigEndian.Uint64(k)) > now.UnixMilli() {
			break
		}
		k = bytes.Clone(k)
		if bytes.HasPrefix(tokens.Get(k[8:]), k[:8]) {
			err = tokens.Delete(k[8:])
		}
		err = errors.Join(err, ends.Delete(k))
	}
	return n, err
}
