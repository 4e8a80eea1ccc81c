package check

import (
	"maps"
	"slices"

	"tollgate/pkg/limits"
)

func tableKeeps(t Template, _ limits.Limits) []string {
	var f faults
	tables := t.names(typeTable)
	f.must(slices.Equal(tables, []string{table}), table, "the tables are %v: one, in one Region", tables)
	for name, r := range t.Resources {
		f.must(r.Type != "AWS::DynamoDB::GlobalTable", name, "two Regions could run one event")
	}
	f.must(t.text(table, "BillingMode") == "PAY_PER_REQUEST", table, "is not on demand")
	f.must(t.at(table, "PointInTimeRecoverySpecification", "PointInTimeRecoveryEnabled") == true, table, "has no point-in-time recovery")
	f.must(t.at(table, "DeletionProtectionEnabled") == true, table, "has no deletion protection")
	f.must(t.text(table, "TimeToLiveSpecification", "AttributeName") == "exp" && t.at(table, "TimeToLiveSpecification", "Enabled") == true, table,
		"does not expire records by exp")
	f.kept(t, table)
	return f
}

func secretsAreEmpty(t Template, _ limits.Limits) []string {
	var f faults
	secrets := t.names(typeSecret)
	f.must(slices.Equal(secrets, []string{apiKey, webhookSecret}), webhookSecret, "the secrets are %v", secrets)
	for _, name := range secrets {
		f.must(t.at(name, "SecretString") == nil && t.at(name, "GenerateSecretString") == nil, name, "has a value in the template, which a deploy would put back")
		f.must(t.at(name, "Name") == nil, name, "has a fixed name, which stays taken for days after a deletion")
		f.kept(t, name)
	}
	return f
}

func (f *faults) kept(t Template, name string) {
	r := t.Resources[name]
	f.must(r.DeletionPolicy == "Retain" && r.UpdateReplacePolicy == "Retain", name, "goes with the stack (%q, %q)", r.DeletionPolicy, r.UpdateReplacePolicy)
}

func outputsHaveNames(t Template, _ limits.Limits) []string {
	var f faults
	wanted := map[string]string{
		"QueueUrl": queue, "DlqUrl": dead, "TableName": table, "WebhookSecretArn": webhookSecret, "ApiKeySecretArn": apiKey,
		"ConsumerMappingId": mapping, "Region": "AWS::Region", "AlarmTopicArn": "",
		"WebhookUrl": `{"Fn::Join":["",[{"Fn::GetAtt":["Api","ApiEndpoint"]},"/webhooks/stripe"]]}`,
	}
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		got := short(t.Outputs[name]["Value"])
		f.must(t.Outputs[name] != nil && (wanted[name] == "" || got == wanted[name]), name, "is the output %s, want %s", got, wanted[name])
	}
	return f
}

func resourcesAreTagged(t Template, _ limits.Limits) []string {
	var f faults
	for _, kind := range []string{typeFunction, typeQueue, typeTable, typeSecret, typeRole, typeLogGroup, typeAlarm} {
		for _, name := range t.names(kind) {
			found := map[string]string{}
			for _, tag := range items(t.at(name, "Tags")) {
				found[short(at(tag, "Key"))] = short(at(tag, "Value"))
			}
			f.must(found["app"] == "tollgate" && found["stage"] != "", name, "has the tags %v, want app and stage", found)
		}
	}
	return f
}
