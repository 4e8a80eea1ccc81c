package stripeapi_test

import (
	"context"
	"errors"
	"net/http"
	"testing"

	"tollgate/pkg/local/localtest"
	fakestripe "tollgate/pkg/local/stripe"
	"tollgate/pkg/stripeapi"
)

func TestOwnAccount(t *testing.T) {
	fake, _ := localtest.Stripe(t)
	own := func(h http.Handler) (string, error) {
		c, err := stripeapi.New(stripeapi.Options{URL: serve(t, h), Tries: 1, Key: func(context.Context) (string, error) { return "sk_test_1", nil }})
		if err != nil {
			t.Fatal(err)
		}
		return c.OwnAccount(t.Context())
	}
	if got, err := own(fake); err != nil || got != fakestripe.OwnAccount {
		t.Errorf("%q, %v", got, err)
	}
	for _, body := range []string{`{}`, `{"id":"acct_1","object":"customer"}`, `{"id":"","object":"account"}`, `{"id":"acct_1/x","object":"account"}`, `[`} {
		if got, err := own(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(body)) })); err == nil || got != "" {
			t.Errorf("%s is taken for %q, %v", body, got, err)
		}
	}
	_, err := own(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		w.Write([]byte(`{"error":{"message":"no permission"}}`))
	}))
	if !errors.Is(err, stripeapi.ErrUnauthorized) {
		t.Errorf("error %v, want ErrUnauthorized", err)
	}
}
