package run

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"tollgate/pkg/config"
	"tollgate/pkg/limits"
	"tollgate/pkg/stripeapi"
)

// tableBegin is the begin in the table.
type tableBegin time.Time

func (b tableBegin) Begin(context.Context, bool, string) (time.Time, bool, error) {
	return time.Time(b), true, nil
}

// TestHold: a configured begin takes precedence over the table's; the other times are as configured.
func TestHold(t *testing.T) {
	table, configured := time.Unix(1_000, 0), time.Unix(2_000, 0)
	for _, c := range []struct {
		cfg  config.Consumer
		want time.Time
	}{
		{config.Consumer{HoldAfter: time.Hour}, table},
		{config.Consumer{HoldAfter: 2 * time.Hour, Begin: configured}, configured},
		{config.Consumer{HoldAfter: time.Hour, HoldBefore: configured}, table},
	} {
		h := hold(c.cfg, tableBegin(table))
		at, known, err := h.Begins.Begin(t.Context(), true, "")
		if !at.Equal(c.want) || !known || err != nil || h.After != c.cfg.HoldAfter || !h.Before.Equal(c.cfg.HoldBefore) {
			t.Errorf("%+v: begin %v, %v, %v; after %v", c.cfg, at, known, err, h.After)
		}
	}
}

type apiKey string

func (k apiKey) GetSecretValue(context.Context, *secretsmanager.GetSecretValueInput, ...func(*secretsmanager.Options)) (*secretsmanager.GetSecretValueOutput, error) {
	return &secretsmanager.GetSecretValueOutput{SecretString: aws.String(string(k))}, nil
}

// TestStripeRate: the consumer takes its part of the configured rate. Off, it has no limit with
// a test key, and the default with a live one.
func TestStripeRate(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("{}")) }))
	t.Cleanup(server.Close)
	for _, c := range []struct {
		key  apiKey
		rate int
		want time.Duration // until the second turn
	}{
		{"sk_live_1", 25, 20 * time.Second}, {"sk_live_1", 5, 100 * time.Second}, {"sk_live_1", 0, 20 * time.Second},
		{"sk_test_1", 25, 20 * time.Second}, {"sk_test_1", 0, 0},
	} {
		cfg := config.Consumer{Common: config.Common{Limits: limits.AWS()}, APIKeySecretID: "key", StripeURL: server.URL, Concurrency: 500}
		cfg.Limits.StripeRate = c.rate
		client, err := consumerStripe(cfg, c.key, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), cfg.Limits.StripeTry/6) // leaves no time to wait
		defer cancel()
		if _, err := client.FetchObject(t.Context(), "", "customer", "cus_1"); err != nil {
			t.Fatal(err)
		}
		_, err = client.FetchObject(ctx, "", "customer", "cus_1")
		u, limited := errors.AsType[*stripeapi.UnavailableError](err)
		if limited != (c.want > 0) || limited && (u.RetryAfter > c.want || u.RetryAfter < c.want-10*time.Second) {
			t.Errorf("%s at %d: %v, turn in %v, want %v", c.key, c.rate, err, u, c.want)
		}
	}
}
