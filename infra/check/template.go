package check

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Types of resources that the checks look for.
const (
	typeFunction    = "AWS::Lambda::Function"
	typeMapping     = "AWS::Lambda::EventSourceMapping"
	typePermission  = "AWS::Lambda::Permission"
	typeQueue       = "AWS::SQS::Queue"
	typeQueuePolicy = "AWS::SQS::QueuePolicy"
	typeTable       = "AWS::DynamoDB::Table"
	typeSecret      = "AWS::SecretsManager::Secret"
	typeRole        = "AWS::IAM::Role"
	typeLogGroup    = "AWS::Logs::LogGroup"
	typeAlarm       = "AWS::CloudWatch::Alarm"
	typeRule        = "AWS::Events::Rule"
	typeInvoke      = "AWS::Lambda::EventInvokeConfig"
	typeRoute       = "AWS::ApiGatewayV2::Route"
	typeIntegration = "AWS::ApiGatewayV2::Integration"
	typeAPIStage    = "AWS::ApiGatewayV2::Stage"
)

// Names of the resources that the checks know one by one.
const (
	ingest, consumer      = "Ingest", "Consumer"
	reconcile             = "Reconcile"
	queue, dead           = "Queue", "DeadLetterQueue"
	table                 = "Table"
	webhookSecret, apiKey = "WebhookSecret", "ApiKeySecret"
	mapping               = "ConsumerMapping"
)

// Template is what the checks read of a CloudFormation template.
type Template struct {
	Resources map[string]Resource
	Outputs   map[string]map[string]any
}

// Resource is one resource of a template. Properties are as encoding/json decodes them.
type Resource struct {
	Type                string
	Properties          map[string]any
	DeletionPolicy      string
	UpdateReplacePolicy string
}

// Parse reads a template.
func Parse(raw []byte) (Template, error) {
	var t Template
	if err := json.Unmarshal(raw, &t); err != nil {
		return t, fmt.Errorf("read template: %w", err)
	}
	if len(t.Resources) == 0 {
		return t, errors.New("read template: it has no resources")
	}
	return t, nil
}

// names returns the resources of a type, sorted.
func (t Template) names(kind string) []string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(t.Resources)) {
		if t.Resources[name].Type == kind {
			names = append(names, name)
		}
	}
	return names
}

// at returns the property at a path of members, nil when there is none.
func (t Template) at(resource string, path ...string) any {
	return at(t.Resources[resource].Properties, path...)
}

func at(v any, path ...string) any {
	for _, member := range path {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[member]
	}
	return v
}

func (t Template) text(resource string, path ...string) string {
	s, _ := t.at(resource, path...).(string)
	return s
}

// number returns a property that is a number, -1 when it is none.
func (t Template) number(resource string, path ...string) float64 {
	n, ok := t.at(resource, path...).(float64)
	if !ok {
		return -1
	}
	return n
}

// seconds returns a property that counts seconds, -1 s when it is none.
func (t Template) seconds(resource string, path ...string) time.Duration {
	return time.Duration(t.number(resource, path...) * float64(time.Second))
}

// items returns a list; a single value is a list of one, as in policies.
func items(v any) []any {
	switch v := v.(type) {
	case nil:
		return nil
	case []any:
		return v
	default:
		return []any{v}
	}
}

func texts(v any) []string {
	var out []string
	for _, item := range items(v) {
		out = append(out, short(item))
	}
	return out
}

// short writes a reference as one word: Queue.Arn, Table; a text is itself; anything
// else is its JSON.
func short(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	m, _ := v.(map[string]any)
	if ref, ok := m["Ref"].(string); ok && len(m) == 1 {
		return ref
	}
	if get, ok := m["Fn::GetAtt"].([]any); ok && len(m) == 1 {
		return strings.Join(texts(get), ".")
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(raw)
}
