package check

import (
	"fmt"
	"slices"
	"strings"

	"tollgate/pkg/limits"
)

// listIndex is the one index that a function reads.
const listIndex = `{"Fn::Join":["",[{"Fn::GetAtt":["Table","Arn"]},"/index/list"]]}`

// Grants are all that the functions may do, as "role action resource".
func grants() []string {
	return []string{
		"ConsumerRole dynamodb:ConditionCheckItem Table.Arn",
		"ConsumerRole dynamodb:GetItem Table.Arn",
		"ConsumerRole dynamodb:PutItem Table.Arn",
		"ConsumerRole dynamodb:UpdateItem Table.Arn",
		"ConsumerRole logs:CreateLogStream ConsumerLogs.Arn",
		"ConsumerRole logs:PutLogEvents ConsumerLogs.Arn",
		"ConsumerRole secretsmanager:GetSecretValue ApiKeySecret",
		"ConsumerRole sqs:ChangeMessageVisibility Queue.Arn",
		"ConsumerRole sqs:DeleteMessage Queue.Arn",
		"ConsumerRole sqs:GetQueueAttributes Queue.Arn",
		"ConsumerRole sqs:ReceiveMessage Queue.Arn",
		"ConsumerRole sqs:SendMessage DeadLetterQueue.Arn",
		"IngestRole logs:CreateLogStream IngestLogs.Arn",
		"IngestRole logs:PutLogEvents IngestLogs.Arn",
		"IngestRole secretsmanager:GetSecretValue WebhookSecret",
		"IngestRole sqs:SendMessage Queue.Arn",
		"ReconcileRole dynamodb:BatchGetItem Table.Arn",
		"ReconcileRole dynamodb:PutItem Table.Arn",
		"ReconcileRole dynamodb:Query " + listIndex,
		"ReconcileRole dynamodb:UpdateItem Table.Arn",
		"ReconcileRole logs:CreateLogStream ReconcileLogs.Arn",
		"ReconcileRole logs:PutLogEvents ReconcileLogs.Arn",
		"ReconcileRole secretsmanager:GetSecretValue ApiKeySecret",
		"ReconcileRole sqs:GetQueueAttributes Queue.Arn",
		"ReconcileRole sqs:SendMessage Queue.Arn",
	}
}

// allowed is one statement of a role that allows something.
type allowed struct {
	role      string
	statement any
}

func (t Template) allowed() []allowed {
	var all []allowed
	for _, role := range t.names(typeRole) {
		for _, p := range items(t.at(role, "Policies")) {
			for _, s := range items(at(p, "PolicyDocument", "Statement")) {
				if at(s, "Effect") != "Deny" {
					all = append(all, allowed{role, s})
				}
			}
		}
	}
	return all
}

func grantsAreKnown(t Template, _ limits.Limits) []string {
	var f faults
	var found []string
	for _, a := range t.allowed() {
		f.must(at(a.statement, "NotAction") == nil && at(a.statement, "NotResource") == nil, a.role, "allows everything but something")
		f.must(at(a.statement, "Condition") == nil, a.role, "has a condition that is not looked at here")
		for _, action := range texts(at(a.statement, "Action")) {
			for _, resource := range texts(at(a.statement, "Resource")) {
				found = append(found, fmt.Sprint(a.role, " ", action, " ", resource))
			}
		}
	}
	for _, grant := range found {
		role, _, _ := strings.Cut(grant, " ")
		f.must(slices.Contains(grants(), grant), role, "is granted what is not known: %s", grant)
	}
	for _, grant := range grants() {
		role, _, _ := strings.Cut(grant, " ")
		f.must(slices.Contains(found, grant), role, "lacks %s", grant)
	}
	for _, role := range t.names(typeRole) {
		f.must(t.at(role, "ManagedPolicyArns") == nil, role, "has a managed policy")
		used := slices.ContainsFunc(t.names(typeFunction), func(fn string) bool { return short(t.at(fn, "Role")) == role+".Arn" })
		f.must(used, role, "is no function's")
	}
	for name, r := range t.Resources {
		outside := strings.HasPrefix(r.Type, "AWS::IAM::") && r.Type != typeRole
		f.must(!outside, name, "%s grants outside of the functions' roles", r.Type)
	}
	return f
}

func actionsAreNamed(t Template, _ limits.Limits) []string {
	var f faults
	for _, a := range t.allowed() {
		for _, action := range texts(at(a.statement, "Action")) {
			f.must(!strings.ContainsAny(action, "*?"), a.role, "allows the actions %s", action)
		}
		for _, resource := range texts(at(a.statement, "Resource")) {
			f.must(!strings.ContainsAny(resource, "*?"), a.role, "allows the resources %s", resource)
		}
	}
	return f
}

// nobodyDeletesItems keeps records: one that is gone lets its event run again.
func nobodyDeletesItems(t Template, _ limits.Limits) []string {
	var f faults
	for _, a := range t.allowed() {
		for _, action := range texts(at(a.statement, "Action")) {
			for _, bad := range []string{"dynamodb:deleteitem", "dynamodb:batchwriteitem", "dynamodb:partiqldelete", "dynamodb:deletetable", "dynamodb:*", "*"} {
				f.must(strings.ToLower(action) != bad, a.role, "may delete records: %s", action)
			}
		}
	}
	return f
}

// nobodyElseMay looks at what grants from the resource's side: an own policy of it, a
// role's trust, a permission to invoke.
func nobodyElseMay(t Template, _ limits.Limits) []string {
	var f faults
	for name, r := range t.Resources {
		for _, document := range []string{"PolicyDocument", "ResourcePolicy", "ResourcePolicyDocument", "AssumeRolePolicyDocument"} {
			for _, s := range items(at(r.Properties, document, "Statement")) {
				trust := short(at(s, "Principal")) == `{"Service":"lambda.amazonaws.com"}`
				f.must(at(s, "Effect") == "Deny" || r.Type == typeRole && trust, name, "lets %s in", short(at(s, "Principal")))
			}
		}
	}
	for _, name := range t.names(typePermission) {
		if t.text(name, "Principal") == "events.amazonaws.com" {
			f.scheduled(t, name)
			continue
		}
		from := short(t.at(name, "SourceArn"))
		f.must(t.text(name, "Principal") == "apigateway.amazonaws.com" && strings.Contains(from, `{"Ref":"Api"},"/*/*/webhooks/stripe`), name,
			"lets %s invoke from %s", t.text(name, "Principal"), from)
		f.must(t.text(name, "Action") == "lambda:InvokeFunction" && short(t.at(name, "FunctionName")) == ingest+".Arn", name,
			"allows %s on %s", t.text(name, "Action"), short(t.at(name, "FunctionName")))
	}
	return f
}
