// Package iam evaluates the policies of a synthesized template as AWS does, for tests: with it,
// the embedded services refuse what a role of the stack may not do. It knows the conditions that
// the stack uses; any other is an error. It is no IAM: trust, boundaries and organisations are not
// in it.
//
//	policies, err := iam.Read(template)
//	allowed := policies["ConsumerRole"].Allows(iam.Request{Action: "sqs:SendMessage", Resource: "DeadLetterQueue"})
package iam

import (
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"
)

// Statement is one of a policy. References to resources of the template are their logical names.
type Statement struct {
	Effect           string
	Action, Resource []string
	conditions       map[string]map[string][]string // operator, key, values
}

// Policy is all the statements of one role, managed policy or queue.
type Policy []Statement

// Request is one action on one resource.
type Request struct {
	Action    string
	Resource  string            // logical name, "Table/index/list" for an index, or an ARN
	Keys      []string          // the keys of items that it names
	Principal string            // logical name of a role with ".Arn", or an ARN
	Values    map[string]string // of other condition keys
}

// Read returns the policies of a template's roles, managed policies and queue policies, by their
// logical names.
func Read(template []byte) (map[string]Policy, error) {
	var t struct {
		Resources map[string]struct {
			Type       string
			Properties struct {
				PolicyDocument document
				Policies       []struct{ PolicyDocument document }
			}
		}
	}
	if err := json.Unmarshal(template, &t); err != nil {
		return nil, fmt.Errorf("read policies: %w", err)
	}
	all := map[string]Policy{}
	for name, r := range t.Resources {
		documents := []document{r.Properties.PolicyDocument}
		for _, p := range r.Properties.Policies {
			documents = append(documents, p.PolicyDocument)
		}
		for _, d := range documents {
			for _, s := range d.Statement {
				read, err := s.read()
				if err != nil {
					return nil, fmt.Errorf("read policy of %s: %w", name, err)
				}
				all[name] = append(all[name], read)
			}
		}
	}
	return all, nil
}

type document struct{ Statement []statement }

type statement struct {
	Effect           string
	Action, Resource any
	Condition        map[string]map[string]any
}

func (s statement) read() (Statement, error) {
	out := Statement{Effect: s.Effect, Action: texts(s.Action), Resource: texts(s.Resource), conditions: map[string]map[string][]string{}}
	for operator, keys := range s.Condition {
		if !slices.Contains([]string{"Bool", "ArnNotLike", "ForAllValues:StringLike"}, operator) {
			return out, fmt.Errorf("condition operator %s is not known here", operator)
		}
		out.conditions[operator] = map[string][]string{}
		for key, values := range keys {
			out.conditions[operator][key] = texts(values)
		}
	}
	return out, nil
}

// Allows reports whether one statement allows a request and none denies it.
func (p Policy) Allows(r Request) bool { return p.has("Allow", r) && !p.Denies(r) }

// Denies reports whether a statement denies a request.
func (p Policy) Denies(r Request) bool { return p.has("Deny", r) }

func (p Policy) has(effect string, r Request) bool {
	return slices.ContainsFunc(p, func(s Statement) bool {
		return s.Effect == effect && likeAny(s.Action, r.Action) && likeAny(s.Resource, r.Resource) && s.holds(r)
	})
}

func (s Statement) holds(r Request) bool {
	for operator, keys := range s.conditions {
		for key, values := range keys {
			got, there := r.Values[key]
			if key == "aws:PrincipalArn" {
				got, there = r.Principal, r.Principal != ""
			}
			switch operator {
			case "ForAllValues:StringLike": // of no value it holds
				if slices.ContainsFunc(r.Keys, func(key string) bool { return !likeAny(values, key) }) {
					return false
				}
			case "ArnNotLike": // negated: holds for a missing key
				if there && likeAny(values, got) {
					return false
				}
			case "Bool":
				if !there || !slices.Contains(values, got) {
					return false
				}
			}
		}
	}
	return true
}

func likeAny(patterns []string, text string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return like(p, text) })
}

// like matches * and ? as IAM does: * also over slashes.
func like(pattern, text string) bool {
	const other = "\x00"
	quoted := strings.NewReplacer(`\`, `\\`, "[", `\[`, "/", other).Replace(pattern)
	ok, err := path.Match(quoted, strings.ReplaceAll(text, "/", other))
	return err == nil && ok
}

// texts returns a value or a list of values as texts.
func texts(v any) (out []string) {
	if list, ok := v.([]any); ok {
		for _, item := range list {
			out = append(out, text(item))
		}
		return out
	}
	if v == nil {
		return nil
	}
	return []string{text(v)}
}

// text returns a value of the template: a reference as its resource's logical name, and with the
// name of an attribute other than Arn, and a joined text with what it has.
func text(v any) string {
	m, _ := v.(map[string]any)
	if get, ok := m["Fn::GetAtt"].([]any); ok {
		return strings.TrimSuffix(strings.Join(texts(get), "."), ".Arn")
	}
	if join, ok := m["Fn::Join"].([]any); ok && len(join) == 2 {
		return strings.Join(texts(join[1]), text(join[0]))
	}
	if m["Ref"] != nil {
		return text(m["Ref"])
	}
	return fmt.Sprint(v)
}
