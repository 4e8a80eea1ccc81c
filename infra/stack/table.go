package stack

import (
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsdynamodb"
	"github.com/aws/jsii-runtime-go"

	"tollgate/pkg/config"
	"tollgate/pkg/limits"
)

// addTable creates a table unless an existing one is named. It is in one Region: a global table
// resolves conflicts by the last writer, so two Regions could apply one event.
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
		SseSpecification:          p.encryption(),
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
	f.must(o.Retention.valid(), "retention", "%+v", o.Retention)
	err := config.CheckTime("hold-before", o.HoldBefore)
	// One in the future, such as a local time with Z, would also hold again what is released.
	at, _ := time.Parse(time.RFC3339, strings.TrimSpace(o.HoldBefore))
	f.must(err == nil && !at.After(time.Now()), "hold-before", "%q", o.HoldBefore)
	f.must(o.Table == "" || name.MatchString(o.Table), "table", "%q", o.Table)
}

// index returns the ARN of one of the table's indexes.
func (p *parts) index(name string) *string {
	return awscdk.Fn_Join(str(""), &[]*string{p.tableARN, str("/index/" + name)})
}

// Retention is how many days the table keeps what is complete; 0 is without end.
type Retention struct {
	Sent  int `json:"sent,omitzero"`
	Facts int `json:"facts,omitzero"`
}

func (r Retention) valid() bool {
	const day, most = 24 * time.Hour, 36500
	kept := limits.Retention{Sent: time.Duration(r.Sent) * day, Facts: time.Duration(r.Facts) * day}
	return max(r.Sent, r.Facts) <= most && kept.Validate() == nil
}

// keep gives a function that completes something its retention.
func (p *parts) keep(f *function, facts bool) {
	if p.Retention.Sent > 0 {
		f.set("TOLLGATE_KEEP_SENT", strconv.Itoa(p.Retention.Sent))
	}
	if facts && p.Retention.Facts > 0 {
		f.set("TOLLGATE_KEEP_FACTS", strconv.Itoa(p.Retention.Facts))
	}
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
