package limits

// WebhookPath is where the default endpoint's deliveries are posted; another endpoint's
// name follows after a slash.
const WebhookPath = "/webhooks/stripe"

// Names of the stack's outputs, by which the command finds a deployed system.
const (
	OutputWebhookURL = "WebhookUrl"
	OutputQueueURL   = "QueueUrl"
	OutputDLQURL     = "DlqUrl"
	OutputTable      = "TableName"
	// OutputSendDLQURL is there only with destinations.
	OutputSendDLQURL = "SendDlqUrl"

	OutputWebhookSecret = "WebhookSecretArn"
	OutputAPIKeySecret  = "ApiKeySecretArn"

	// OutputVersion is the deployed release.
	OutputVersion = "Version"
)
