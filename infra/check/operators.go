package check

import (
	"regexp"
	"slices"
	"strings"

	"tollgate/pkg/limits"
)

// Resources for people: two policies and the role that erases.
const reader, operator, erase = "Reader", "Operator", "EraseRole"

const typePolicy = "AWS::IAM::ManagedPolicy"

// ofPeople reports whether a resource is one of those for people.
func ofPeople(name, kind string) bool {
	return kind == typePolicy && (name == reader || name == operator) || kind == "AWS::IAM::Role" && name == erase
}

// people: no policy deletes an item, and none changes a fact but that of the role that erases,
// which only named principals take. Who looks reads no secret, sends nothing and deletes nothing.
func (c *checker) people() {
	deletes := regexp.MustCompile(`(?i)^dynamodb:(.*delete|batchwrite|transact|partiql)`)
	lists := []string{"cloudwatch:DescribeAlarms", "cloudwatch:GetMetricData", "dynamodb:ListTables", "events:ListRuleNamesByTarget", "lambda:GetAccountSettings", "lambda:ListEventSourceMappings"}
	for _, name := range []string{reader, operator, erase} {
		c.fits(name)
		all := c.rights(name)
		c.must(len(all) > 0, name, "is missing or grants nothing")
		for _, s := range all {
			c.must(at(s, "NotAction") == nil && at(s, "NotResource") == nil, name, "grants all but some")
			on := texts(at(s, "Resource"))
			c.must(len(on) > 0, name, "grants %v on no resource", at(s, "Action"))
			for _, action := range texts(at(s, "Action")) {
				c.must(!strings.ContainsAny(action, "*?") && !deletes.MatchString(action), name, "grants %s", action)
				c.must(!slices.Contains(on, "*") || slices.Contains(lists, action), name, "grants %s on everything", action)
				changes := strings.HasPrefix(action, "secretsmanager:") || slices.Contains([]string{"sqs:SendMessage", "sqs:DeleteMessage", "lambda:UpdateEventSourceMapping"}, action)
				c.must(name != reader || !changes, name, "grants %s", action)
				if write := action == "dynamodb:PutItem" || action == "dynamodb:UpdateItem"; write && name != erase {
					c.writes(name, s)
				}
			}
		}
	}
	for _, s := range items(c.at(erase, "AssumeRolePolicyDocument.Statement")) {
		taken, _ := at(s, "Condition.ArnLike").(map[string]any)
		who := texts(taken["aws:PrincipalArn"])
		c.must(len(who) > 1 && !slices.ContainsFunc(who, anyone), erase, "is anyone's to take")
	}
}

// anyone reports whether a principal's ARN matches every role.
func anyone(arn string) bool {
	return strings.HasPrefix(arn, "*") || regexp.MustCompile(`role/[*?]*("\]\]})?$`).MatchString(arn)
}

// maxPolicy is how long IAM lets a managed policy be.
const maxPolicy = 6144

// fits: a managed policy with its references resolved, each to a long name of ours.
func (c *checker) fits(name string) {
	text := regexp.MustCompile(`\{"Ref":"AWS::\w+"\}`).ReplaceAllString(short(c.at(name, "PolicyDocument")), strings.Repeat("r", 14))
	text = regexp.MustCompile(`\{"(Ref|Fn::GetAtt)":[^}]*\}`).ReplaceAllString(text, strings.Repeat("r", 90))
	c.must(len(text) <= maxPolicy, name, "has %d characters, over %d", len(text), maxPolicy)
}

// rights are the statements of a role or a managed policy.
func (c *checker) rights(name string) []any {
	return append(c.statements(name), items(c.at(name, "PolicyDocument.Statement"))...)
}

// writes: a person writes items of these keys.
func (c *checker) writes(name string, statement any) {
	conditions, _ := at(statement, "Condition").(map[string]any)
	limited, _ := conditions["ForAllValues:StringLike"].(map[string]any)
	keys := texts(limited["dynamodb:LeadingKeys"])
	c.must(len(keys) > 0, name, "writes every item")
	for _, key := range keys {
		c.must(strings.IndexByte(key, '#') > 0 && !strings.HasPrefix(key, "FACT"), name, "writes the items %s", key)
		c.must(name != reader || key == limits.KeyDLQLock || key == limits.KeyHoldLock, name, "writes the items %s", key)
	}
}

// senders: a queue takes messages from the functions whose roles may send to it, and from people.
func (c *checker) senders() {
	for _, queue := range c.names(typeQueue) {
		want := []string{}
		for _, function := range c.names(typeFunction) {
			for _, s := range c.statements(c.role(function)) {
				if slices.Contains(texts(at(s, "Action")), "sqs:SendMessage") && slices.Contains(texts(at(s, "Resource")), queue+".Arn") {
					want = append(want, c.role(function)+".Arn")
				}
			}
		}
		var got []string
		for _, s := range items(c.at(queue+"Policy", "PolicyDocument.Statement")) {
			only, _ := at(s, "Condition.ArnNotLike").(map[string]any)
			if short(at(s, "Principal")) == "*" && short(at(s, "Action")) == "sqs:SendMessage" && short(at(s, "Resource")) == queue+".Arn" {
				got = texts(only["aws:PrincipalArn"])
			}
		}
		roles := slices.DeleteFunc(slices.Clone(got), func(arn string) bool { return !strings.HasSuffix(arn, "Role.Arn") })
		slices.Sort(want)
		slices.Sort(roles)
		c.must(len(got) > len(roles) && slices.Equal(roles, want), queue+"Policy", "lets %v send, whose roles may: %v", roles, want)
		for _, arn := range got {
			c.must(strings.HasSuffix(arn, "Role.Arn") || strings.Contains(arn, ":iam::"), queue+"Policy", "lets %s send", arn)
			c.must(!anyone(arn), queue+"Policy", "lets every role send")
		}
	}
}

// key: what holds events is encrypted with one key, which all functions may use.
func (c *checker) key() {
	key := c.text(queue, "KmsMasterKeyId")
	for _, name := range c.names(typeQueue) {
		c.must(c.text(name, "KmsMasterKeyId") == key && (c.at(name, "SqsManagedSseEnabled") == true) == (key == ""), name, "is not encrypted with %q", key)
	}
	for _, name := range c.names("AWS::SecretsManager::Secret") {
		c.must(c.text(name, "KmsKeyId") == key, name, "is not encrypted with %q", key)
	}
	for _, name := range c.names("AWS::DynamoDB::Table") {
		c.must(c.text(name, "SSESpecification.KMSMasterKeyId") == key, name, "is not encrypted with %q", key)
	}
	if key == "" {
		return
	}
	for _, function := range c.names(typeFunction) {
		uses := slices.ContainsFunc(c.statements(c.role(function)), func(s any) bool {
			return short(at(s, "Resource")) == key && slices.Equal(texts(at(s, "Action")), []string{"kms:Decrypt", "kms:GenerateDataKey"})
		})
		c.must(uses, c.role(function), "may not use the key %s", key)
	}
	for _, name := range []string{reader, operator, erase} {
		reads := slices.ContainsFunc(c.rights(name), func(s any) bool {
			return short(at(s, "Resource")) == key && slices.Contains(texts(at(s, "Action")), "kms:Decrypt")
		})
		c.must(reads, name, "may not read what the key %s encrypts", key)
	}
}
