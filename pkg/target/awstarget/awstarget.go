// Package awstarget sends deliveries to SQS queues, SNS topics and EventBridge buses. The body is
// the JSON that an HTTP destination gets. It knows no secrets: the clients sign.
//
//	target := awstarget.NewSQS(sqs.NewFromConfig(cfg), queueURL)
//	answer := target.Send(ctx, delivery)
package awstarget

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"tollgate/pkg/delivery"
	"tollgate/pkg/limits"
)

// Limits of a message, with its attributes, in bytes.
const (
	maxSQS         = 1 << 20
	maxSNS         = 256 << 10
	maxEventBridge = 1 << 20
)

// Names of the attributes that a queue's or topic's message has.
const (
	attributeID       = "webhook-id"
	attributeType     = "type"
	attributeSequence = "sequence"
)

// parcel is a delivery as a queue or topic gets it.
type parcel struct {
	body       string
	attributes []attribute
	group      string // of a FIFO queue or topic, "" for others
}

type attribute struct{ name, dataType, value string }

// pack encodes a delivery, or returns why it cannot be sent. A FIFO queue keeps the order of one
// object's messages.
func pack(d delivery.Delivery, fifo bool, most int) (parcel, *delivery.Answer) {
	body, err := delivery.Body(d)
	if err != nil {
		return parcel{}, stop(0, err.Error())
	}
	p := parcel{body: string(body), attributes: []attribute{
		{attributeID, "String", d.ID}, {attributeType, "String", d.Message.Name},
	}}
	if d.Sequence > 0 {
		p.attributes = append(p.attributes, attribute{attributeSequence, "Number", strconv.FormatInt(d.Sequence, 10)})
	}
	if fifo {
		p.group = groupOf(cmp.Or(d.ObjectID(), d.ID))
	}
	size := len(p.body)
	for _, a := range p.attributes {
		size += len(a.name) + len(a.dataType) + len(a.value)
	}
	return p, tooLarge(size, most)
}

func tooLarge(size, most int) *delivery.Answer {
	if size <= most {
		return nil
	}
	return stop(0, fmt.Sprintf("too large: %d bytes, the service takes %d", size, most))
}

// groupName is what may be a message group.
var groupName = regexp.MustCompile("^[!-~]{1,128}$")

// groupOf returns a message group for an object's id, which people may choose.
func groupOf(id string) string {
	if groupName.MatchString(id) {
		return id
	}
	sum := sha256.Sum256([]byte(id))
	return hex.EncodeToString(sum[:])
}

func isFIFO(name string) bool { return strings.HasSuffix(name, ".fifo") }

func stop(status int, text string) *delivery.Answer {
	return &delivery.Answer{Verdict: delivery.Stop, Status: status, Err: limits.Cut(text, delivery.MaxErr)}
}

// AnswerOf returns the answer for the result of an AWS call. Throttling, server faults, network
// errors and expired credentials are retried; what the service refuses stops the delivery. The
// text has the error's code: its message may name a queue, a role or an address.
func AnswerOf(err error) delivery.Answer {
	if err == nil {
		return delivery.Answer{Verdict: delivery.Done}
	}
	status := 0
	if response, ok := errors.AsType[*smithyhttp.ResponseError](err); ok {
		status = response.HTTPStatusCode()
	}
	api, ok := errors.AsType[smithy.APIError](err)
	if !ok {
		return delivery.Answer{Verdict: delivery.Retry, Status: status, Err: causeOf(err)}
	}
	return answer(status, api.ErrorCode(), api.ErrorFault() == smithy.FaultServer)
}

func answer(status int, code string, serverFault bool) delivery.Answer {
	code = limits.Cut(code, 60)
	if serverFault || status >= 500 || status == 429 || status == 408 || isTransient(code) {
		return delivery.Answer{Verdict: delivery.Retry, Status: status, Err: "the service answered " + code}
	}
	return *stop(status, reasonOf(code))
}

// transient are parts of the codes that a later attempt may not get.
var transient = []string{"Throttl", "Internal", "Unavailable", "Timeout", "Timed", "OverLimit", "SendingPaused", "Expired", "Skewed", "InTheFuture", "Signature", "InvalidClientTokenId", "UnrecognizedClient", "ConcurrentAccess"}

func isTransient(code string) bool {
	if _, throttled := retry.DefaultThrottleErrorCodes[code]; throttled || code == "" {
		return true
	}
	return containsAny(code, transient)
}

func containsAny(text string, parts []string) bool {
	for _, part := range parts {
		if strings.Contains(text, part) {
			return true
		}
	}
	return false
}

// reasonOf explains a refusal to the person who configured the destination.
func reasonOf(code string) string {
	switch {
	case containsAny(code, []string{"AccessDenied", "Authoriz", "KMS", "Kms"}):
		return code + ": the sender may not use this destination: grant it the right, and the key's"
	case containsAny(code, []string{"NonExistent", "DoesNotExist", "NotFound"}):
		return code + ": no such destination: check its name, region and account"
	}
	return code + ": the service refused the message"
}

// causeOf describes an error without an answer. Its own text has the address.
func causeOf(err error) string {
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	case errors.Is(err, context.Canceled):
		return "canceled"
	}
	return "no answer from the service"
}
