package config

// Command is what the tollgate command reads. A system is named by the environment
// only when all three of its names are there.
type Command struct {
	WebhookSecret string // STRIPE_WEBHOOK_SECRET, a list between commas while a secret is rolled
	APIKey        string // STRIPE_API_KEY
	Table         string // TOLLGATE_TABLE
	QueueURL      string // TOLLGATE_QUEUE_URL
	DLQURL        string // TOLLGATE_DLQ_URL
}

// Named reports whether the environment names a system.
func (c Command) Named() bool { return c.Table != "" && c.QueueURL != "" && c.DLQURL != "" }

// LoadCommand reads the command's environment. Naming a system in part is a fault: the
// command would work on another one than was meant.
func LoadCommand(lookup Lookup) (Command, error) {
	r := reader{lookup: lookup}
	c := Command{
		WebhookSecret: r.text("STRIPE_WEBHOOK_SECRET", optional, ""),
		APIKey:        r.text("STRIPE_API_KEY", optional, ""),
		Table:         r.text("TOLLGATE_TABLE", optional, ""),
		QueueURL:      r.url("TOLLGATE_QUEUE_URL", optional, "the URL of the queue of events"),
		DLQURL:        r.url("TOLLGATE_DLQ_URL", optional, "the URL of the dead-letter queue"),
	}
	if !c.Named() && (c.Table != "" || c.QueueURL != "" || c.DLQURL != "") {
		for _, v := range [][2]string{{"TOLLGATE_TABLE", c.Table}, {"TOLLGATE_QUEUE_URL", c.QueueURL}, {"TOLLGATE_DLQ_URL", c.DLQURL}} {
			if v[1] == "" {
				r.fault(v[0], "is not set but others of its system are: set all of TOLLGATE_TABLE, TOLLGATE_QUEUE_URL and TOLLGATE_DLQ_URL, or none")
			}
		}
	}
	return c, r.err()
}
