package stack

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssecretsmanager"
)

// addSecrets creates both secrets empty: everyone who may read the stack could read a value
// in the template, and a deploy would restore it. Until the webhook secret has a value,
// ingest fails and Stripe retries.
func (p *parts) addSecrets() {
	p.webhook = p.addSecret("WebhookSecret", "signing secrets of every endpoint, as JSON: {\"default\":[\"whsec_...\"]}")
	p.key = p.addSecret("ApiKeySecret", "Stripe's API key, the text alone; may stay empty")
}

func (p *parts) addSecret(id, holds string) awssecretsmanager.CfnSecret {
	props := &awssecretsmanager.CfnSecretProps{
		Description: str("Tollgate, stage " + p.Stage + ": " + holds),
	}
	if p.Key != "" {
		props.KmsKeyId = str(p.Key)
	}
	s := awssecretsmanager.NewCfnSecret(p.stack, str(id), props)
	s.ApplyRemovalPolicy(awscdk.RemovalPolicy_RETAIN, nil)
	return s
}
