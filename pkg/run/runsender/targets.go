package runsender

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/sesv2"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"tollgate/pkg/awsclient"
	"tollgate/pkg/delivery"
	"tollgate/pkg/destination"
	"tollgate/pkg/egress"
	"tollgate/pkg/secrets"
	"tollgate/pkg/target/awstarget"
	"tollgate/pkg/target/httptarget"
	"tollgate/pkg/target/mail"
)

// targets returns a target for each destination. Its error names every destination that has none.
func (w wiring) targets() (map[string]delivery.Target, error) {
	all := map[string]delivery.Target{}
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(w.cfg.Sending.Destinations)) {
		var err error
		if all[name], err = w.target(w.cfg.Sending.Destinations[name]); err != nil {
			errs = append(errs, fmt.Errorf("destination %s: %w", name, err))
		}
	}
	return all, errors.Join(errs...)
}

func (w wiring) target(d destination.Destination) (delivery.Target, error) {
	a := w.cfg.AWS
	switch d.Type {
	case destination.HTTP:
		return w.http(d)
	case destination.SQS:
		return awstarget.NewSQS(sqs.NewFromConfig(w.client(d, a.EndpointSQS, queueRegion(d.Queue))), d.Queue), nil
	case destination.EventBridge:
		return awstarget.NewEventBridge(eventbridge.NewFromConfig(w.client(d, a.EndpointEventBridge, arnRegion(d.Bus))), d.Bus, d.Source), nil
	case destination.SNS:
		return awstarget.NewSNS(sns.NewFromConfig(w.client(d, a.EndpointSNS, arnRegion(d.Topic))), d.Topic), nil
	}
	mailer := mail.NewSES(sesv2.NewFromConfig(w.client(d, a.EndpointSES, "")))
	if w.cfg.MailDir != "" {
		mailer = mail.NewFolder(w.cfg.MailDir)
	}
	return mail.New(mail.Config{Stripe: w.stripe, Mailer: mailer, From: d.From, To: d.To, Language: d.Language, TestMode: slices.Contains(d.Livemode, false)})
}

// http returns a target with a client, and so connections, of its own.
func (w wiring) http(d destination.Destination) (delivery.Target, error) {
	keys, err := secrets.NewSigningKeys(secrets.Config{API: w.secrets, ID: d.Secret, Logger: w.log, Limits: w.cfg.Limits})
	if err != nil {
		return nil, err
	}
	client, err := egress.New(egress.Options{Allow: d.Allow, Local: w.cfg.AWS.Local(), Timeout: d.Timeout})
	if err != nil {
		return nil, err
	}
	return httptarget.New(httptarget.Config{URL: d.URL, Headers: d.Headers, Keys: keys, Client: client})
}

// client returns a configuration for a destination's service in a region, "" for the function's
// own. A delivery's attempts are its retries.
func (w wiring) client(d destination.Destination, endpoint, region string) aws.Config {
	a := w.cfg.AWS
	if region != "" {
		a.Region = region
	}
	return awsclient.New(a, awsclient.Options{Endpoint: endpoint, Attempts: 1, Try: d.Timeout})
}

func arnRegion(arn string) string {
	if part := strings.Split(arn, ":"); len(part) > 3 {
		return part[3]
	}
	return ""
}

// queueRegion returns the region of https://sqs.REGION.amazonaws.com/…, "" of another address.
func queueRegion(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	if host := strings.Split(u.Host, "."); len(host) >= 4 && host[0] == "sqs" {
		return host[1]
	}
	return ""
}
