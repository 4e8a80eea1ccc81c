package stripeapi_test

import (
	"errors"
	"net/http"
	"testing"

	"tollgate/pkg/local/localtest"
	fakestripe "tollgate/pkg/local/stripe"
	"tollgate/pkg/stripeapi"
)

func TestOwnAccount(t *testing.T) {
	fake, _ := localtest.Stripe(t)
	own := func(url string) (string, error) {
		return newClient(t, stripeapi.Options{URL: url, Tries: 1}).OwnAccount(t.Context())
	}
	if got, err := own(serve(t, fake)); err != nil || got != fakestripe.OwnAccount {
		t.Errorf("%q, %v", got, err)
	}
	for _, body := range []string{`{}`, `{"id":"acct_1","object":"customer"}`, `{"id":"","object":"account"}`, `{"id":"acct_1/x","object":"account"}`, `[`} {
		if got, err := own(answering(t, http.StatusOK, body)); err == nil || got != "" {
			t.Errorf("%s is taken for %q, %v", body, got, err)
		}
	}
	_, err := own(answering(t, http.StatusForbidden, `{"error":{"message":"no permission"}}`))
	if !errors.Is(err, stripeapi.ErrUnauthorized) {
		t.Errorf("error %v, want ErrUnauthorized", err)
	}
}
