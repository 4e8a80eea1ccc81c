package limits

// WebhookPath is where the default endpoint's deliveries are posted; another endpoint's
// name follows after a slash.
const WebhookPath = "/webhooks/stripe"

// Alias is the alias of ingest and of the consumer that their callers invoke.
const Alias = "live"

// Production reports whether a stage is named like production: it takes live events unless its
// endpoints say otherwise, and its stack is protected from deletion.
func Production(stage string) bool {
	return stage == "live" || stage == "prod" || stage == "production"
}

// Names of the stack's outputs, by which the command finds a deployed system.
const (
	OutputWebhookURL = "WebhookUrl"
	OutputQueueURL   = "QueueUrl"
	OutputDLQURL     = "DlqUrl"
	OutputTable      = "TableName"
	// OutputHoldURL and OutputMapping are missing in stacks of earlier releases.
	OutputHoldURL = "HoldQueueUrl"
	OutputMapping = "ConsumerMappingId"
	// OutputSendDLQURL is there only with destinations.
	OutputSendDLQURL = "SendDlqUrl"

	OutputWebhookSecret = "WebhookSecretArn"
	OutputAPIKeySecret  = "ApiKeySecretArn"

	// OutputVersion is the deployed release.
	OutputVersion = "Version"
)

// LogGroup returns the name of the log group of a function of a system, whose names begin with prefix.
func LogGroup(prefix, function string) string { return "/aws/lambda/" + prefix + "-" + function }
