package stripe

import (
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/stripe/stripe-go/v76/webhook"
)

// signature is the Stripe-Signature header of a delivery: one v1 for each secret, and
// in test mode a v0 that no secret verifies, which Stripe adds so that receivers ignore
// unknown schemes.
func signature(at time.Time, body []byte, secrets []secret, live bool) string {
	var b strings.Builder
	fmt.Fprintf(&b, "t=%d", at.Unix())
	for _, each := range secrets {
		fmt.Fprintf(&b, ",v1=%s", hex.EncodeToString(webhook.ComputeSignature(at, body, each.Value)))
	}
	if !live && len(secrets) > 0 {
		fmt.Fprintf(&b, ",v0=%s", hex.EncodeToString(webhook.ComputeSignature(at, body, "v0 of "+secrets[0].Value)))
	}
	return b.String()
}
