// Package secrets reads signing secrets and the Stripe API key from AWS Secrets Manager and
// keeps them in memory, so that a fetch delays a request only every few minutes and
// deliveries continue during an outage of Secrets Manager.
//
// A cached value stays in use while newer fetches fail. Concurrent callers share one fetch.
// No value is ever logged, put into an error or written anywhere. Functions write no
// secret; operators do, through [Writer], which replaces only the version that the caller
// read.
//
// The webhook secret is one JSON object, from endpoint to the secrets that are active
// for it, both of them during a roll:
//
//	{"default": ["whsec_new", "whsec_old"], "eu": ["whsec_eu"]}
//
//	w, err := secrets.NewWebhook(secrets.Config{API: client, ID: id})
//	active, err := w.Active(ctx, "default")
package secrets
