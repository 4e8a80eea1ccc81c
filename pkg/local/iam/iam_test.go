package iam

import "testing"

const template = `{"Resources":{
	"Role":{"Type":"AWS::IAM::Role","Properties":{"Policies":[{"PolicyDocument":{"Statement":[
		{"Effect":"Allow","Action":["dynamodb:PutItem"],"Resource":{"Fn::GetAtt":["Table","Arn"]},"Condition":{"ForAllValues:StringLike":{"dynamodb:LeadingKeys":["A#*","B"]}}},
		{"Effect":"Allow","Action":"dynamodb:Query","Resource":{"Fn::Join":["",[{"Fn::GetAtt":["Table","Arn"]},"/index/list"]]}},
		{"Effect":"Allow","Action":"sqs:*","Resource":{"Fn::Join":["",["arn:",{"Ref":"AWS::Partition"},":sqs:::x-??"]]}}]}}]}},
	"QueuePolicy":{"Type":"AWS::SQS::QueuePolicy","Properties":{"PolicyDocument":{"Statement":[
		{"Effect":"Deny","Principal":"*","Action":"sqs:SendMessage","Resource":{"Fn::GetAtt":["Queue","Arn"]},"Condition":{"ArnNotLike":{"aws:PrincipalArn":[{"Fn::GetAtt":["Role","Arn"]},"arn:aws:iam::1:role/a/*"]}}},
		{"Effect":"Deny","Principal":"*","Action":"sqs:*","Resource":{"Fn::GetAtt":["Queue","Arn"]},"Condition":{"Bool":{"aws:SecureTransport":"false"}}}]}}}}}`

func TestPolicies(t *testing.T) {
	policies, err := Read([]byte(template))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		r    Request
		want bool
	}{
		{Request{Action: "dynamodb:PutItem", Resource: "Table", Keys: []string{"A#1"}}, true},
		{Request{Action: "dynamodb:PutItem", Resource: "Table", Keys: []string{"A#1/2", "B"}}, true},
		{Request{Action: "dynamodb:PutItem", Resource: "Table", Keys: []string{"A#1", "C"}}, false},
		{Request{Action: "dynamodb:PutItem", Resource: "Table", Keys: []string{"BB"}}, false},
		{Request{Action: "dynamodb:PutItem", Resource: "Table/index/list", Keys: []string{"B"}}, false},
		{Request{Action: "dynamodb:Query", Resource: "Table/index/list"}, true},
		{Request{Action: "dynamodb:Query", Resource: "Table"}, false},
		{Request{Action: "sqs:SendMessage", Resource: "arn:AWS::Partition:sqs:::x-ab"}, true},
		{Request{Action: "sqs:SendMessage", Resource: "arn:AWS::Partition:sqs:::x-abc"}, false},
	} {
		if got := policies["Role"].Allows(c.r); got != c.want {
			t.Errorf("%+v: allowed %v", c.r, got)
		}
	}
	for _, c := range []struct {
		r    Request
		want bool
	}{
		{Request{Action: "sqs:SendMessage", Resource: "Queue", Principal: "Role"}, false},
		{Request{Action: "sqs:SendMessage", Resource: "Queue", Principal: "arn:aws:iam::1:role/a/b/c"}, false},
		{Request{Action: "sqs:SendMessage", Resource: "Queue", Principal: "arn:aws:iam::1:role/b"}, true},
		{Request{Action: "sqs:SendMessage", Resource: "Queue"}, true}, // an AWS service has no ARN
		{Request{Action: "sqs:ReceiveMessage", Resource: "Queue", Principal: "arn:aws:iam::1:role/b"}, false},
		{Request{Action: "sqs:ReceiveMessage", Resource: "Queue", Values: map[string]string{"aws:SecureTransport": "false"}}, true},
	} {
		if got := policies["QueuePolicy"].Denies(c.r); got != c.want {
			t.Errorf("%+v: denied %v", c.r, got)
		}
	}
}

// TestQueuesPolicyRefuses whom the caller's own policy lets send.
func TestQueuesPolicyRefuses(t *testing.T) {
	policies, err := Read([]byte(template))
	if err != nil {
		t.Fatal(err)
	}
	sends := Policy{{Effect: "Allow", Action: []string{"sqs:*"}, Resource: []string{"Queue"}}}
	e := &Enforcer{Policies: map[string]Policy{"QueuePolicy": policies["QueuePolicy"], "Role": sends, "Other": sends}}
	for caller, want := range map[string]string{"Role": "", "Other": "sqs:SendMessage"} {
		if got := e.check(caller, "AmazonSQS.SendMessage", []byte(`{"QueueUrl":"http://sqs/1/Queue"}`)); got != want {
			t.Errorf("%s: refused %q, want %q", caller, got, want)
		}
	}
}

func TestUnknownCondition(t *testing.T) {
	const other = `{"Resources":{"R":{"Properties":{"PolicyDocument":{"Statement":[{"Effect":"Deny","Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}}]}}}}}`
	if _, err := Read([]byte(other)); err == nil {
		t.Error("a condition that is not evaluated was read")
	}
}
