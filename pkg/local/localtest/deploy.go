package localtest

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
)

// deployable are the types of resources that moto 5.2.1 can create.
func deployable() []string {
	return []string{
		"AWS::CloudWatch::Dashboard", "AWS::DynamoDB::Table", "AWS::Events::Rule", "AWS::IAM::ManagedPolicy", "AWS::IAM::Role",
		"AWS::KMS::Alias", "AWS::KMS::Key", "AWS::Lambda::EventSourceMapping", "AWS::Lambda::Function", "AWS::Lambda::Permission",
		"AWS::Lambda::Version", "AWS::Logs::LogGroup", "AWS::Route53::RecordSet", "AWS::SNS::Topic", "AWS::SQS::Queue",
	}
}

// part returns a template without the resources that moto does not support. A reference to one
// of them becomes a text, one to an alias its function.
func part(t testing.TB, raw []byte) (body string, resources int) {
	t.Helper()
	var template struct{ Resources, Outputs map[string]map[string]any }
	if err := json.Unmarshal(raw, &template); err != nil {
		t.Fatal(err)
	}
	kept, there := map[string]any{}, map[string]string{"Zone": "Zone"}
	for name, r := range template.Resources {
		if r["Type"] == "AWS::Lambda::Alias" {
			there[name] = r["Properties"].(map[string]any)["FunctionName"].(map[string]any)["Ref"].(string)
		}
		if !slices.Contains(deployable(), r["Type"].(string)) {
			continue
		}
		kept[name], there[name] = r, name
		switch properties := r["Properties"].(map[string]any); r["Type"] {
		case "AWS::Lambda::Function":
			properties["Code"] = map[string]any{"ZipFile": "stands for the code"}
		case "AWS::Events::Rule":
			delete(properties, "EventBusName") // there is no partner's bus
		case "AWS::Lambda::EventSourceMapping":
			properties["Enabled"] = false // moto would run that code
		case "AWS::Route53::RecordSet":
			properties["HostedZoneId"] = map[string]any{"Ref": "Zone"}
			kept["Zone"] = map[string]any{"Type": "AWS::Route53::HostedZone", "Properties": map[string]any{"Name": "example.com"}}
		}
	}
	outputs := map[string]any{}
	for name, o := range template.Outputs {
		outputs[name] = o
	}
	part, err := json.Marshal(map[string]any{"Resources": resolved(kept, there), "Outputs": resolved(outputs, there)})
	if err != nil {
		t.Fatal(err)
	}
	return string(part), len(kept)
}

// resolved refers to what stands for a resource there.
func resolved(v any, there map[string]string) any {
	switch v := v.(type) {
	case []any:
		for i := range v {
			v[i] = resolved(v[i], there)
		}
	case map[string]any:
		name, _ := v["Ref"].(string)
		if get, ok := v["Fn::GetAtt"].([]any); ok {
			name = get[0].(string)
		}
		if name != "" && there[name] == "" && name[:min(3, len(name))] != "AWS" {
			return "arn:aws:none:us-east-1:123456789012:" + name
		}
		if v["Ref"] != nil && there[name] != "" {
			v["Ref"] = there[name]
		}
		for member := range v {
			v[member] = resolved(v[member], there)
		}
	}
	return v
}

// Deploy creates the part of a template that moto supports as a stack, and returns its outputs.
// Those of a resource that moto does not support are texts.
func Deploy(t testing.TB, cfg aws.Config, name string, raw []byte) (outputs map[string]string) {
	t.Helper()
	body, resources := part(t, raw)
	client := cloudformation.NewFromConfig(cfg)
	made, err := client.CreateStack(t.Context(), &cloudformation.CreateStackInput{
		StackName: &name, TemplateBody: &body, Capabilities: []types.Capability{types.CapabilityCapabilityNamedIam},
	})
	if err != nil {
		t.Fatal(err)
	}
	waiter := cloudformation.NewStackCreateCompleteWaiter(client)
	out, err := waiter.WaitForOutput(t.Context(), &cloudformation.DescribeStacksInput{StackName: made.StackId}, 2*time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	there, err := client.DescribeStackResources(t.Context(), &cloudformation.DescribeStackResourcesInput{StackName: made.StackId})
	if err != nil {
		t.Fatal(err)
	}
	if len(there.StackResources) != resources || resources < 8 {
		t.Errorf("%d resources were created, want %d", len(there.StackResources), resources)
	}
	outputs = map[string]string{}
	for _, o := range out.Stacks[0].Outputs {
		outputs[*o.OutputKey] = *o.OutputValue
	}
	return outputs
}
