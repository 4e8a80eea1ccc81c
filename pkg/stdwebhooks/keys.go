package stdwebhooks

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Prefixes of serialized keys.
const (
	prefixSecret  = "whsec_" // HMAC-SHA256
	prefixPrivate = "whsk_"  // ed25519
	prefixPublic  = "whpk_"  // ed25519, verifies only
)

// A symmetric key's size in bytes, by the specification.
const (
	minSecret = 24
	maxSecret = 64
)

// maxKeys is the number of keys that a message is signed with: two are active during a roll,
// of two kinds while a receiver changes over.
const maxKeys = 4

// Keys sign and verify messages. Its text is never printed.
type Keys struct{ list []key }

type key struct {
	secret  []byte             // of HMAC-SHA256
	private ed25519.PrivateKey // nil with a public key alone
	public  ed25519.PublicKey
}

// NewSecret returns a random symmetric key.
func NewSecret() string {
	secret := make([]byte, 32)
	rand.Read(secret) // never fails
	return prefixSecret + base64.StdEncoding.EncodeToString(secret)
}

// Parse reads keys: separated by white space, or as a JSON list. A fault of one is an error for
// all, with its position and without its text.
func Parse(text string) (Keys, error) {
	texts := strings.Fields(text)
	if strings.HasPrefix(strings.TrimSpace(text), "[") {
		texts = nil
		if json.Unmarshal([]byte(text), &texts) != nil {
			return Keys{}, errors.New("parse keys: not a JSON list of strings")
		}
	}
	if len(texts) == 0 || len(texts) > maxKeys {
		return Keys{}, fmt.Errorf("parse keys: %d keys, 1 to %d are allowed", len(texts), maxKeys)
	}
	var keys Keys
	for i, text := range texts {
		k, err := parseKey(text)
		if err != nil {
			return Keys{}, fmt.Errorf("parse key %d: %w", i+1, err)
		}
		keys.list = append(keys.list, k)
	}
	return keys, nil
}

func parseKey(text string) (key, error) {
	kind, encoded, _ := strings.Cut(text, "_")
	raw, err := base64.StdEncoding.Strict().DecodeString(encoded)
	if err != nil || strings.ContainsAny(encoded, "\r\n") { // the decoder skips line ends
		return key{}, errors.New("not base64 after the prefix")
	}
	switch kind + "_" {
	case prefixSecret:
		if len(raw) < minSecret || len(raw) > maxSecret {
			return key{}, fmt.Errorf("a secret of %d bytes, %d to %d are allowed", len(raw), minSecret, maxSecret)
		}
		return key{secret: raw}, nil
	case prefixPrivate:
		if len(raw) != ed25519.PrivateKeySize || !bytes.Equal(ed25519.NewKeyFromSeed(raw[:ed25519.SeedSize]), raw) {
			return key{}, errors.New("not an ed25519 key pair: 32 bytes of the seed, then 32 of the public key")
		}
		return key{private: raw, public: raw[ed25519.SeedSize:]}, nil
	case prefixPublic:
		if len(raw) != ed25519.PublicKeySize {
			return key{}, errors.New("not an ed25519 public key of 32 bytes")
		}
		return key{public: raw}, nil
	}
	return key{}, fmt.Errorf("no prefix %s, %s or %s", prefixSecret, prefixPrivate, prefixPublic)
}

// String keeps keys out of logs.
func (Keys) String() string { return "keys" }

// GoString keeps keys out of logs.
func (Keys) GoString() string { return "keys" }
