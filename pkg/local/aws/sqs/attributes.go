package sqs

import (
	"encoding/json"
	"maps"
	"strconv"
	"strings"
)

// maxMessageBytes bounds a message and a batch: bodies with attributes.
const maxMessageBytes = 1 << 20

// settings are a queue's attributes as the engine uses them; times are seconds.
type settings struct {
	delay, visibility, retention, wait, maxBytes int
	redrive                                      *redrivePolicy
}

type redrivePolicy struct {
	target      string // ARN
	maxReceives int
}

// defaultAttributes are those of a new queue.
func defaultAttributes() map[string]string {
	return map[string]string{
		"DelaySeconds":                  "0",
		"MaximumMessageSize":            strconv.Itoa(maxMessageBytes),
		"MessageRetentionPeriod":        "345600",
		"ReceiveMessageWaitTimeSeconds": "0",
		"VisibilityTimeout":             "30",
		"SqsManagedSseEnabled":          "true",
	}
}

// parseSettings reads all attributes of a queue. It rejects names and values that AWS rejects, and those that this
// package does not implement.
func parseSettings(attributes map[string]string) (settings, error) {
	var s settings
	for name, value := range attributes {
		if err := s.parse(name, value); err != nil {
			return settings{}, err
		}
	}
	return s, nil
}

func (s *settings) parse(name, value string) (err error) {
	switch name {
	case "DelaySeconds":
		s.delay, err = parseInt(name, value, 0, 900)
	case "MaximumMessageSize":
		s.maxBytes, err = parseInt(name, value, 1024, maxMessageBytes)
	case "MessageRetentionPeriod":
		s.retention, err = parseInt(name, value, 60, 1_209_600)
	case "ReceiveMessageWaitTimeSeconds":
		s.wait, err = parseInt(name, value, 0, 20)
	case "VisibilityTimeout":
		s.visibility, err = parseInt(name, value, 0, 43_200)
	case "SqsManagedSseEnabled":
		if value != "true" && value != "false" {
			err = errAttributeValue(name)
		}
	case "Policy":
		if !json.Valid([]byte(value)) {
			err = errAttributeValue(name)
		}
	case "RedrivePolicy":
		s.redrive, err = parseRedrivePolicy(value)
	default:
		err = errAttributeName(name) // also those of FIFO queues and KMS keys
	}
	return err
}

func parseInt(name, value string, low, high int) (int, error) {
	n, err := strconv.Atoi(value)
	if err != nil || n < low || n > high || strconv.Itoa(n) != value {
		return 0, errAttributeValue(name)
	}
	return n, nil
}

func parseRedrivePolicy(value string) (*redrivePolicy, error) {
	var p struct {
		DeadLetterTargetArn string          `json:"deadLetterTargetArn"`
		MaxReceiveCount     json.RawMessage `json:"maxReceiveCount"`
	}
	refuse := func(why string) error {
		return errInvalidParameter("Value %s for parameter RedrivePolicy is invalid. Reason: %s", value, why)
	}
	if err := decode([]byte(value), &p); err != nil {
		return nil, refuse("Redrive policy is not a valid JSON map of deadLetterTargetArn and maxReceiveCount.")
	}
	if p.DeadLetterTargetArn == "" || p.MaxReceiveCount == nil {
		return nil, refuse("Redrive policy must contain deadLetterTargetArn and maxReceiveCount.")
	}
	n, err := strconv.Atoi(strings.Trim(string(p.MaxReceiveCount), `"`))
	if err != nil || n < 1 || n > 1000 {
		return nil, refuse("Invalid value for maxReceiveCount: must be between 1 and 1000.")
	}
	return &redrivePolicy{target: p.DeadLetterTargetArn, maxReceives: n}, nil
}

// mergeAttributes applies changes to a queue's attributes; an empty policy removes the policy.
func mergeAttributes(old, changes map[string]string) map[string]string {
	merged := maps.Clone(old)
	for name, value := range changes {
		removable := name == "Policy" || name == "RedrivePolicy"
		if removable && value == "" {
			delete(merged, name)
			continue
		}
		merged[name] = value
	}
	return merged
}
