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

// template is the part of a CloudFormation template that the invariants check.
type template struct {
	Resources map[string]struct {
		Type                string
		Properties          map[string]any
		DeletionPolicy      string
		UpdateReplacePolicy string
	}
	Outputs map[string]struct{ Value any }
}

func parse(raw []byte) (t template, err error) {
	if err := json.Unmarshal(raw, &t); err != nil {
		return t, fmt.Errorf("read template: %w", err)
	}
	if len(t.Resources) == 0 {
		return t, errors.New("read template: it has no resources")
	}
	return t, nil
}

// names returns the resources of a type, sorted.
func (t template) names(kind string) (names []string) {
	for _, name := range slices.Sorted(maps.Keys(t.Resources)) {
		if t.Resources[name].Type == kind {
			names = append(names, name)
		}
	}
	return names
}

// at returns the property at a path such as "LoggingConfig.LogGroup", nil if there is none.
func (t template) at(resource, path string) any { return at(t.Resources[resource].Properties, path) }

func at(v any, path string) any {
	for member := range strings.SplitSeq(path, ".") {
		m, _ := v.(map[string]any)
		v = m[member]
	}
	return v
}

func (t template) text(resource, path string) string { return short(t.at(resource, path)) }

// number returns a numeric property, -1 if it is not a number.
func (t template) number(resource, path string) float64 {
	if n, ok := t.at(resource, path).(float64); ok {
		return n
	}
	return -1
}

func (t template) seconds(resource, path string) time.Duration {
	return time.Duration(t.number(resource, path) * float64(time.Second))
}

// items returns a list; a single value is a list of one, as in policies.
func items(v any) []any {
	if list, ok := v.([]any); ok || v == nil {
		return list
	}
	return []any{v}
}

func texts(v any) (out []string) {
	for _, item := range items(v) {
		out = append(out, short(item))
	}
	return out
}

// short formats a value: a reference as Queue.Arn or Table, a string unchanged, nil as ""
// and anything else as JSON.
func short(v any) string {
	m, _ := v.(map[string]any)
	switch get, isGet := m["Fn::GetAtt"].([]any); {
	case v == nil:
		return ""
	case isGet && len(m) == 1:
		return strings.Join(texts(get), ".")
	case m["Ref"] != nil && len(m) == 1:
		return short(m["Ref"])
	}
	if s, ok := v.(string); ok {
		return s
	}
	raw, _ := json.Marshal(v)
	return string(raw)
}
