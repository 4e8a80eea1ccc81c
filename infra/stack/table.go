package stack

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsdynamodb"
	"github.com/aws/jsii-runtime-go"
)

// addTable creates a table in one Region: a global table resolves conflicts by the last
// writer, so two Regions could apply one event.
func (p *parts) addTable() {
	p.table = awsdynamodb.NewCfnTable(p.stack, str("Table"), &awsdynamodb.CfnTableProps{
		BillingMode: str("PAY_PER_REQUEST"),
		AttributeDefinitions: []any{
			attribute("pk", "S"), attribute("open", "S"), attribute("upd", "N"), attribute("lst", "S"), attribute("at", "S"),
		},
		KeySchema:                 []any{key("pk", "HASH")},
		GlobalSecondaryIndexes:    []any{index("open-upd", "open", "upd"), index("list", "lst", "at")},
		TimeToLiveSpecification:   &awsdynamodb.CfnTable_TimeToLiveSpecificationProperty{AttributeName: str("exp"), Enabled: jsii.Bool(true)},
		DeletionProtectionEnabled: jsii.Bool(true),
		PointInTimeRecoverySpecification: &awsdynamodb.CfnTable_PointInTimeRecoverySpecificationProperty{
			PointInTimeRecoveryEnabled: jsii.Bool(true),
		},
	})
	p.table.ApplyRemovalPolicy(awscdk.RemovalPolicy_RETAIN, nil)
}

func attribute(name, kind string) any {
	return &awsdynamodb.CfnTable_AttributeDefinitionProperty{AttributeName: str(name), AttributeType: str(kind)}
}

func key(name, kind string) any {
	return &awsdynamodb.CfnTable_KeySchemaProperty{AttributeName: str(name), KeyType: str(kind)}
}

func index(name, hash, sort string) any {
	return &awsdynamodb.CfnTable_GlobalSecondaryIndexProperty{
		IndexName:  str(name),
		KeySchema:  []any{key(hash, "HASH"), key(sort, "RANGE")},
		Projection: &awsdynamodb.CfnTable_ProjectionProperty{ProjectionType: str("ALL")},
	}
}
