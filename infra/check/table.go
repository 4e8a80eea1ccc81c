package check

import (
	"slices"
	"strings"

	"tollgate/pkg/limits"
)

const tableVariable = "TOLLGATE_TABLE"

// table is the table that the consumer uses: the stack's own, or the name of an existing one.
func (c *checker) table() string { return c.text(consumer, variable+"TABLE") }

// ofTable reports whether a resource of a grant is an existing table that the stack uses, or its
// indexes, in the stack's Region and account.
func (c *checker) ofTable(resource string) bool {
	const arn = `["",["arn:",{"Ref":"AWS::Partition"},":dynamodb:",{"Ref":"AWS::Region"},":",{"Ref":"AWS::AccountId"},":table/`
	name := strings.TrimSuffix(strings.TrimPrefix(resource, `{"Fn::Join":`+arn), `"]]}`)
	for _, index := range []string{"/index/list", "/index/open-upd"} {
		name = strings.TrimSuffix(name, index)
	}
	return name == c.table()
}

// tables: all functions, the output and the command use one table. It is kept, can be restored and
// forgets what has expired; if it exists already, the stack makes none as well, in which a
// function could find no record of what was applied.
func (c *checker) tables() {
	made := slices.Concat(c.names("AWS::DynamoDB::Table"), c.names("AWS::DynamoDB::GlobalTable"))
	if name, existing := c.at(consumer, variable+"TABLE").(string); existing {
		c.must(name != "" && len(made) == 0, consumer, "uses the table %q, and the stack makes %v", name, made)
	} else {
		c.must(slices.Equal(made, []string{table}) && c.table() == table, table, "is not the stack's only one: %v", made)
		c.must(c.at(table, "DeletionProtectionEnabled") == true, table, "has no deletion protection")
		c.must(c.at(table, "PointInTimeRecoverySpecification.PointInTimeRecoveryEnabled") == true, table, "has no point-in-time recovery")
		c.must(c.text(table, "TimeToLiveSpecification.AttributeName") == "exp", table, "forgets nothing")
	}
	for _, function := range []string{reconcile, sender} {
		used := c.text(function, variable+"TABLE")
		c.must(used == c.table() || c.Resources[function].Type == "", function, "uses the table %q, the consumer %q", used, c.table())
	}
	output := short(c.Outputs[limits.OutputTable].Value)
	c.must(output == c.table(), limits.OutputTable, "is %q, the consumer uses %q", output, c.table())
}

// BackupPolicy is the end of the ARN of AWS's policy for what backs up: all that AWS Backup can.
const BackupPolicy = "iam::aws:policy/service-role/AWSBackupServiceRolePolicyForBackup"

const backupRole, backupVault, backupPlan, backupSelection = "BackupRole", "BackupVault", "BackupPlan", "BackupSelection"

// backups: the one role that is no function's is AWS Backup's alone, and the plan uses it for the
// table alone. The backups outlive the stack.
func (c *checker) backups() {
	if c.Resources[backupRole].Type == "" && len(c.names("AWS::Backup::BackupPlan")) == 0 {
		return
	}
	role, vault := c.Resources[backupRole], c.Resources[backupVault]
	c.must(role.Type == "AWS::IAM::Role" && c.at(backupRole, "Policies") == nil, backupRole, "is no role, or has policies of its own")
	trusts := items(c.at(backupRole, "AssumeRolePolicyDocument.Statement"))
	c.must(len(trusts) == 1 && short(at(trusts[0], "Principal")) == `{"Service":"backup.amazonaws.com"}`, backupRole, "trusts %s", short(trusts))
	managed := texts(c.at(backupRole, "ManagedPolicyArns"))
	c.must(len(managed) == 1 && managed[0] == `{"Fn::Join":["",["arn:",{"Ref":"AWS::Partition"},":`+BackupPolicy+`"]]}`, backupRole, "has the policies %v", managed)
	c.must(vault.Type != "" && vault.DeletionPolicy == "Retain" && vault.UpdateReplacePolicy == "Retain", backupVault, "is deleted with the stack")
	c.must(c.text(backupSelection, "BackupPlanId") == backupPlan, backupSelection, "is of the plan %q", c.text(backupSelection, "BackupPlanId"))
	c.must(c.text(backupSelection, "BackupSelection.IamRoleArn") == backupRole+".Arn", backupSelection, "uses another role")
	selected := texts(c.at(backupSelection, "BackupSelection.Resources"))
	chosen, _ := c.at(backupSelection, "BackupSelection").(map[string]any)
	c.must(len(chosen) == 3, backupSelection, "narrows what it selects: %s", short(chosen))
	c.must(len(selected) == 1 && (selected[0] == c.table()+".Arn" || c.ofTable(selected[0])), backupSelection, "backs up %v, not the table", selected)
	rules := items(c.at(backupPlan, "BackupPlan.BackupPlanRule"))
	c.must(len(rules) == 1 && short(at(rules[0], "TargetBackupVault")) == backupVault && at(rules[0], "ScheduleExpression") != nil, backupPlan, "has the rules %s", short(rules))
}
