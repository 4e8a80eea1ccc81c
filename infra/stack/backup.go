package stack

import (
	"regexp"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsbackup"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"

	"tollgate/infra/check"
)

// Backup is when the table is backed up, and the vault in another account or Region that gets a
// copy.
type Backup struct {
	Schedule string `json:"schedule"`
	CopyTo   string `json:"copy-to,omitzero"`
}

// Every backup and its copy is kept for as long as point-in-time recovery reaches back.
const (
	daily      = "daily"
	backupDays = 35
)

func (b Backup) valid() bool {
	vault := regexp.MustCompile(`^arn:aws[a-z-]*:backup:[a-z0-9-]+:[0-9]{12}:backup-vault:[A-Za-z0-9_-]{2,50}$`)
	return b == (Backup{}) || b.Schedule == daily && (b.CopyTo == "" || vault.MatchString(b.CopyTo))
}

// addBackup has AWS Backup keep the table: point-in-time recovery ends with the account and the
// Region. The vault outlives the stack with its backups; a part of the stack's id in its name lets a later
// stack of the stage have its own.
func (p *parts) addBackup() {
	if p.Backup == (Backup{}) {
		return
	}
	id := awscdk.Fn_Select(num(0), awscdk.Fn_Split(str("-"), awscdk.Fn_Select(num(2), awscdk.Fn_Split(str("/"), p.stack.StackId(), nil)), nil))
	vault := awsbackup.NewCfnBackupVault(p.stack, str("BackupVault"), &awsbackup.CfnBackupVaultProps{
		BackupVaultName: awscdk.Fn_Join(str("-"), &[]*string{str(Name(p.Stage)), id}),
	})
	vault.ApplyRemovalPolicy(awscdk.RemovalPolicy_RETAIN, nil)
	kept := &awsbackup.CfnBackupPlan_LifecycleResourceTypeProperty{DeleteAfterDays: num(backupDays)}
	rule := &awsbackup.CfnBackupPlan_BackupRuleResourceTypeProperty{
		RuleName: str(daily), TargetBackupVault: vault.Ref(), ScheduleExpression: str("cron(30 4 * * ? *)"), Lifecycle: kept,
	}
	if p.Backup.CopyTo != "" {
		rule.CopyActions = []any{&awsbackup.CfnBackupPlan_CopyActionResourceTypeProperty{DestinationBackupVaultArn: str(p.Backup.CopyTo), Lifecycle: kept}}
	}
	plan := awsbackup.NewCfnBackupPlan(p.stack, str("BackupPlan"), &awsbackup.CfnBackupPlanProps{
		BackupPlan: &awsbackup.CfnBackupPlan_BackupPlanResourceTypeProperty{BackupPlanName: str(Name(p.Stage)), BackupPlanRule: []any{rule}},
	})
	// AWS keeps this policy at what its service needs; a list of our own would fail silently, at night.
	role := awsiam.NewCfnRole(p.stack, str("BackupRole"), &awsiam.CfnRoleProps{
		Description: str("Tollgate, stage " + p.Stage + ": backs up the table"),
		AssumeRolePolicyDocument: policy(object{
			"Effect": "Allow", "Principal": object{"Service": "backup.amazonaws.com"}, "Action": "sts:AssumeRole",
		}),
		ManagedPolicyArns: &[]any{p.partitioned(check.BackupPolicy)},
	})
	awsbackup.NewCfnBackupSelection(p.stack, str("BackupSelection"), &awsbackup.CfnBackupSelectionProps{
		BackupPlanId: plan.Ref(),
		BackupSelection: &awsbackup.CfnBackupSelection_BackupSelectionResourceTypeProperty{
			SelectionName: str("table"), IamRoleArn: role.AttrArn(), Resources: &[]*string{p.tableARN},
		},
	})
}
