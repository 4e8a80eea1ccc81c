package config

import (
	"cmp"
	"log/slog"
	"net/netip"
	"time"

	"tollgate/pkg/limits"
	"tollgate/pkg/policy"
)

// Common is the configuration of every function.
type Common struct {
	Stage    string // name of the deployment
	Version  string // of the release, as in its log lines
	LogLevel slog.Level
	Limits   limits.Limits
	AWS      AWS
}

// Ingest is the ingest function's configuration.
type Ingest struct {
	Common
	QueueURL        string
	WebhookSecretID string
	AllowIPs        []netip.Prefix // empty: all sources may deliver
	EndpointNames   []string       // counted by themselves
}

// Consumer is the consumer function's configuration.
type Consumer struct {
	Common
	Table          string
	QueueURL       string
	DLQURL         string
	HoldURL        string                   // "" in a stack that cannot pause
	APIKeySecretID string                   // "" without a key
	StripeURL      string                   // "" for Stripe's own URL
	Endpoints      map[string]policy.Policy // an endpoint that is not listed accepts every event
	Begin          time.Time                // overrides the start of history in the table unless zero
	Sending        Sending                  // where messages are handed over
	Concurrency    int                      // processes that run at once at most, and share the rate limit of Stripe's account
	HoldAfter      time.Duration            // messages about states that were older than this when their event was received are held
	EventMetrics   bool                     // count by event type too
	HoldBefore     time.Time                // messages about states before it are held
	Retention      limits.Retention         // of sent messages and facts
}

// Reconcile is the reconcile function's configuration.
type Reconcile struct {
	Common
	Table          string
	QueueURL       string
	APIKeySecretID string                   // "" without a key
	StripeURL      string                   // "" for Stripe's own URL
	Accounts       map[string]string        // endpoint by account, "" for the platform's own; nil: that account alone
	Endpoints      map[string]policy.Policy // the consumer's
	Begin          time.Time                // overrides the start of history in the table unless zero
	Retention      limits.Retention         // the consumer's; no facts are written
	HoldBefore     time.Time                // the consumer's: messages queued before it are held, not sent
	Sending        Sending                  // the consumer's
}

// AWS has the credentials that Lambda sets, and endpoints, "" for AWS's own.
type AWS struct {
	Region          string
	AccessKeyID     string
	SecretAccessKey Secret
	SessionToken    Secret

	EndpointSQS            string
	EndpointDynamoDB       string
	EndpointSecretsManager string
	EndpointSNS            string // the sender's, as the two below
	EndpointEventBridge    string
	EndpointSES            string
}

// Secret is a text that is redacted in log lines and formatted structs.
type Secret string

const redacted = "[redacted]"

// String returns a fixed text.
func (Secret) String() string { return redacted }

// GoString returns a fixed text.
func (Secret) GoString() string { return redacted }

// MarshalText returns a fixed text.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LoadIngest reads the ingest function's environment.
func LoadIngest(lookup Lookup) (Ingest, error) {
	r := reader{lookup: lookup}
	c := Ingest{
		Common:          r.common(),
		QueueURL:        r.url("TOLLGATE_QUEUE_URL", required, "the URL of the queue of events"),
		WebhookSecretID: r.text("TOLLGATE_WEBHOOK_SECRET_ID", required, "the name or ARN of the secret with the signing secrets"),
		AllowIPs:        r.prefixes("TOLLGATE_ALLOW_IPS"),
		EndpointNames:   r.endpointNames("TOLLGATE_ENDPOINT_NAMES"),
	}
	return c, r.err()
}

// maxHoldAfter is longer than Stripe lists an event: with it no message is held for its age.
const maxHoldAfter = 10 * 365 * 24 * time.Hour

// LoadConsumer reads the consumer function's environment.
func LoadConsumer(lookup Lookup) (Consumer, error) {
	r := reader{lookup: lookup}
	c := Consumer{
		Common:         r.common(),
		Table:          r.text("TOLLGATE_TABLE", required, "the name of the table of records"),
		QueueURL:       r.url("TOLLGATE_QUEUE_URL", required, "the URL of the queue of events"),
		DLQURL:         r.url("TOLLGATE_DLQ_URL", required, "the URL of the dead-letter queue"),
		HoldURL:        r.url("TOLLGATE_HOLD_QUEUE_URL", optional, "the URL of the hold queue"),
		APIKeySecretID: r.text("TOLLGATE_API_KEY_SECRET_ID", optional, ""),
		StripeURL:      r.url("TOLLGATE_STRIPE_URL", optional, "the URL of Stripe's API"),
		Endpoints:      r.endpoints("TOLLGATE_ENDPOINTS"),
		Begin:          r.time("TOLLGATE_BEGIN"),
		HoldAfter:      r.duration("TOLLGATE_HOLD_AFTER", limits.HoldAfter, time.Minute, maxHoldAfter),
		EventMetrics:   r.flag("TOLLGATE_EVENT_METRICS"),
		HoldBefore:     r.time("TOLLGATE_HOLD_BEFORE"),
		Retention:      limits.Retention{Sent: r.days("TOLLGATE_KEEP_SENT", limits.LeastSent), Facts: r.days("TOLLGATE_KEEP_FACTS", limits.LeastFacts)},
	}
	c.Limits.StripeRate = r.stripeRate(c.Limits.StripeRate)
	c.Concurrency = r.number("TOLLGATE_CONCURRENCY", c.Limits.MaxConcurrency, 1, maxConcurrency)
	c.Sending = r.sending(c.AWS, optional)
	c.Limits.MaxReceives = r.number("TOLLGATE_MAX_RECEIVES", c.Limits.MaxReceives, 2, limits.SQSMaxReceives)
	if c.QueueURL != "" && c.QueueURL == c.DLQURL {
		r.fault("TOLLGATE_DLQ_URL", "is TOLLGATE_QUEUE_URL: name the other queue, or dead letters are received again without end")
	}
	if c.HoldURL != "" && (c.HoldURL == c.QueueURL || c.HoldURL == c.DLQURL) {
		r.fault("TOLLGATE_HOLD_QUEUE_URL", "is another queue's URL: name the hold queue, or held messages are received again without end, or lost among dead letters")
	}
	return c, r.err()
}

// LoadReconcile reads the reconcile function's environment.
func LoadReconcile(lookup Lookup) (Reconcile, error) {
	r := reader{lookup: lookup}
	c := Reconcile{
		Common:         r.common(),
		Table:          r.text("TOLLGATE_TABLE", required, "the name of the table of records"),
		QueueURL:       r.url("TOLLGATE_QUEUE_URL", required, "the URL of the queue of events"),
		APIKeySecretID: r.text("TOLLGATE_API_KEY_SECRET_ID", optional, ""),
		StripeURL:      r.url("TOLLGATE_STRIPE_URL", optional, "the URL of Stripe's API"),
		Accounts:       r.accounts("TOLLGATE_RECONCILE"),
		Begin:          r.time("TOLLGATE_BEGIN"),
		HoldBefore:     r.time("TOLLGATE_HOLD_BEFORE"),
		Retention:      limits.Retention{Sent: r.days("TOLLGATE_KEEP_SENT", limits.LeastSent)},
		Endpoints:      r.endpoints("TOLLGATE_ENDPOINTS"),
	}
	c.Limits.StripeRate = r.stripeRate(c.Limits.StripeRate)
	c.Limits.Reconcile.ListRate = r.number("TOLLGATE_LIST_RATE", c.Limits.Reconcile.ListRate, 1, maxStripeRate)
	r.excluded("TOLLGATE_RECONCILE", c.Accounts, c.Endpoints)
	c.Sending = r.sending(c.AWS, optional)
	return c, r.err()
}

const (
	maxStripeRate  = 1000
	maxConcurrency = 1000 // of an event source mapping
)

// stripeRate returns 0 for "off".
func (r *reader) stripeRate(missing int) int {
	const name = "TOLLGATE_STRIPE_RATE"
	if r.text(name, optional, "") == "off" {
		return 0
	}
	return r.number(name, missing, 1, maxStripeRate)
}

func (r *reader) common() Common {
	c := Common{
		LogLevel: r.level("TOLLGATE_LOG_LEVEL"),
		Limits:   limits.Scaled(r.number("TOLLGATE_TIME_SCALE", 1, 1, limits.MaxTimeScale)),
		AWS: AWS{
			Region:                 r.text("AWS_REGION", required, "an AWS Region such as eu-central-1"),
			AccessKeyID:            r.text("AWS_ACCESS_KEY_ID", required, "the id of an access key"),
			SecretAccessKey:        Secret(r.text("AWS_SECRET_ACCESS_KEY", required, "the access key's secret")),
			SessionToken:           Secret(r.text("AWS_SESSION_TOKEN", optional, "")),
			EndpointSQS:            r.endpointURL("AWS_ENDPOINT_URL_SQS"),
			EndpointDynamoDB:       r.endpointURL("AWS_ENDPOINT_URL_DYNAMODB"),
			EndpointSecretsManager: r.endpointURL("AWS_ENDPOINT_URL_SECRETS_MANAGER"),
		},
	}
	c.Stage, c.Version = Names(r.lookup)
	return c
}

// Names returns the stage and the release, also of a function whose configuration has faults.
func Names(lookup Lookup) (stage, version string) {
	r := reader{lookup: lookup}
	return cmp.Or(r.text("TOLLGATE_STAGE", optional, ""), "dev"), cmp.Or(r.text("TOLLGATE_VERSION", optional, ""), "dev")
}
