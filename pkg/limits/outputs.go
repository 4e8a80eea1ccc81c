package limits

// Names of the stack's outputs, from which the command finds a deployed system.
const (
	OutputWebhookURL = "WebhookUrl"
	OutputQueueURL   = "QueueUrl"
	OutputDLQURL     = "DlqUrl"
	OutputTable      = "TableName"
)
