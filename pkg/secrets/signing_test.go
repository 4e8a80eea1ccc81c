package secrets

import (
	"bytes"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tollgate/pkg/limits"
	"tollgate/pkg/stdwebhooks"
)

// signatures signs with the keys and returns how many signatures there are, 0 for an error.
func signatures(t *testing.T, k *SigningKeys) (int, error) {
	t.Helper()
	keys, err := k.Keys(t.Context())
	if err != nil {
		return 0, err
	}
	h := http.Header{}
	if err := keys.Sign(h, stdwebhooks.Message{ID: "msg_1", At: time.Now()}); err != nil {
		t.Fatal(err)
	}
	return len(strings.Fields(h.Get(stdwebhooks.HeaderSignature))), nil
}

func TestSigningKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const faulty = "whsec_SENSITIVE"
		log := &bytes.Buffer{}
		api := serving(faulty)
		k, err := NewSigningKeys(Config{API: api, ID: "crm", Logger: slog.New(slog.NewTextHandler(log, nil))})
		if err != nil || api.count() != 0 {
			t.Fatalf("error %v, %d fetches", err, api.count())
		}
		step := func(value string, failure error, want int, wantErr bool) {
			t.Helper()
			api.set(value, failure)
			<-time.After(limits.AWS().SecretTTL)
			n, err := signatures(t, k)
			if n != want || (err != nil) != wantErr || err != nil && strings.Contains(err.Error(), "SENSITIVE") {
				t.Errorf("%d signatures, error %v, want %d", n, err, want)
			}
		}
		one, two := stdwebhooks.NewSecret(), stdwebhooks.NewSecret()
		step(faulty, nil, 0, true)
		step(one, nil, 1, false)
		step(two+"\n"+one, nil, 2, false)
		step(two+"\n"+faulty, nil, 2, false) // the known keys stay
		step("", errors.New("down"), 2, false)
		step(`["`+two+`"]`, nil, 1, false)
		calls := api.count()
		for range 10 {
			_, _ = signatures(t, k)
		}
		if api.count() != calls {
			t.Errorf("%d fetches of known keys", api.count()-calls)
		}
		if text := log.String(); strings.Contains(text, "SENSITIVE") || !strings.Contains(text, "level=WARN") {
			t.Errorf("log %s", text)
		}
	})
	if _, err := NewSigningKeys(Config{ID: "crm"}); err == nil {
		t.Error("keys without a client")
	}
}
