package stack

import (
	"regexp"

	"github.com/aws/aws-cdk-go/awscdk/v2/awsdynamodb"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/jsii-runtime-go"
)

// encrypt encrypts a queue with the stage's key or, without one, with a key of SQS.
func (p *parts) encrypt(props *awssqs.CfnQueueProps) {
	if p.Key == "" {
		props.SqsManagedSseEnabled = jsii.Bool(true)
		return
	}
	props.KmsMasterKeyId = str(p.Key)
}

// encryption is that of the stack's own table: with the stage's key, else with one of DynamoDB.
func (p *parts) encryption() any {
	if p.Key == "" {
		return nil
	}
	return &awsdynamodb.CfnTable_SSESpecificationProperty{SseEnabled: jsii.Bool(true), SseType: str("KMS"), KmsMasterKeyId: str(p.Key)}
}

// decrypts allows to use the stage's key, if it has one: SQS, Secrets Manager and DynamoDB use it
// in the name of who calls them.
func (p *parts) decrypts(actions ...string) []grant {
	if p.Key == "" {
		return nil
	}
	return []grant{{on: str(p.Key), actions: actions}}
}

func (o *Options) validateKey(f *faults) {
	arn := regexp.MustCompile(`^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$`)
	f.must(o.Key == "" || arn.MatchString(o.Key), "key", "%q", o.Key)
}
