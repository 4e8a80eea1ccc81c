package stack

import (
	"regexp"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsdynamodb"
	"github.com/aws/jsii-runtime-go"

	"tollgate/pkg/config"
)

// addTable creates a table unless an existing one is named. It is in one Region: a global table resolves conflicts by the last
// writer, so two Regions could apply one event.
func (p *parts) addTable() {
	if p.Table != "" {
		p.adoptTable()
		return
	}
	table := awsdynamodb.NewCfnTable(p.stack, str("Table"), &awsdynamodb.CfnTableProps{
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
	table.ApplyRemovalPolicy(awscdk.RemovalPolicy_RETAIN, nil)
	p.tableName, p.tableARN = table.Ref(), table.AttrArn()
}

// adoptTable uses a table that is there: a restored one, or one that an earlier stack left. A table
// that this stack made stays too, as its removal policy is to retain it.
func (p *parts) adoptTable() {
	p.tableName = str(p.Table)
	p.tableARN = p.stack.FormatArn(&awscdk.ArnComponents{Service: str("dynamodb"), Resource: str("table"), ResourceName: p.tableName})
}

// validateTable: a table is named, not given as an ARN, as the functions' rights are on one of the
// stack's account and Region.
func (o *Options) validateTable(f *faults) {
	name := regexp.MustCompile(`^[A-Za-z0-9_.-]{3,255}$`)
	f.must(o.Backup.valid(), "backup", "%+v", o.Backup)
	err := config.CheckTime("hold-before", o.HoldBefore)
	f.must(err == nil, "hold-before", "%q", o.HoldBefore)
	f.must(o.Table == "" || name.MatchString(o.Table), "table", "%q", o.Table)
}

// index returns the ARN of one of the table's indexes.
func (p *parts) index(name string) *string {
	return awscdk.Fn_Join(str(""), &[]*string{p.tableARN, str("/index/" + name)})
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
