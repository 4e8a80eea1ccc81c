package config

import "strings"

// Command is the configuration of the tollgate command. Table, QueueURL and DLQURL together
// name a system.
type Command struct {
	WebhookSecret Secret // STRIPE_WEBHOOK_SECRET, several between commas while one is rolled
	APIKey        Secret // STRIPE_API_KEY
	Table         string // TOLLGATE_TABLE
	QueueURL      string // TOLLGATE_QUEUE_URL
	DLQURL        string // TOLLGATE_DLQ_URL

	WebhookSecretID string // TOLLGATE_WEBHOOK_SECRET_ID
	APIKeySecretID  string // TOLLGATE_API_KEY_SECRET_ID
	HoldURL         string // TOLLGATE_HOLD_QUEUE_URL, "" for a system that cannot pause
	StripeURL       string // TOLLGATE_STRIPE_URL, "" for Stripe's own
}

// Named reports whether the environment names a system.
func (c Command) Named() bool { return c.Table != "" && c.QueueURL != "" && c.DLQURL != "" }

// LoadCommand reads the command's environment. A partly named system is an error: otherwise
// the command could work on a different system.
func LoadCommand(lookup Lookup) (Command, error) {
	r := reader{lookup: lookup}
	c := Command{
		WebhookSecret: Secret(r.text("STRIPE_WEBHOOK_SECRET", optional, "")),
		APIKey:        Secret(r.text("STRIPE_API_KEY", optional, "")),
		Table:         r.text("TOLLGATE_TABLE", optional, ""),
		QueueURL:      r.url("TOLLGATE_QUEUE_URL", optional, "the URL of the queue of events"),
		DLQURL:        r.url("TOLLGATE_DLQ_URL", optional, "the URL of the dead-letter queue"),

		WebhookSecretID: r.text("TOLLGATE_WEBHOOK_SECRET_ID", optional, ""),
		APIKeySecretID:  r.text("TOLLGATE_API_KEY_SECRET_ID", optional, ""),
		HoldURL:         r.url("TOLLGATE_HOLD_QUEUE_URL", optional, "the URL of the hold queue"),
		StripeURL:       r.url("TOLLGATE_STRIPE_URL", optional, "the URL of Stripe's API"),
	}
	r.allOrNone("TOLLGATE_TABLE", "TOLLGATE_QUEUE_URL", "TOLLGATE_DLQ_URL")
	return c, r.err()
}

// allOrNone reports, in one fault, the variables that are not set while others are.
func (r *reader) allOrNone(names ...string) {
	var missing []string
	for _, name := range names {
		if r.text(name, optional, "") == "" {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 && len(missing) < len(names) {
		r.fault(strings.Join(missing, ", "), "not set, but others of %s: set all of them or none", strings.Join(names, ", "))
	}
}
