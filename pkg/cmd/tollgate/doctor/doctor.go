// Package doctor has the verb that checks the whole system.
package doctor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/doctor"
	"tollgate/pkg/dynamostore"
	"tollgate/pkg/limits"
	"tollgate/pkg/registration"
)

// Doctor checks the system.
type Doctor struct {
	Timeout  time.Duration `default:"20s" help:"Time limit of each check. Default: 20s."`
	Endpoint string        `default:"default" help:"Endpoint to compare with Stripe's. Default: default." placeholder:"NAME"`

	PublishedIPs string `name:"published-ips" help:"Compare the addresses that may deliver with this copy of Stripe's ips_webhooks.json or ips_webhooks.txt." placeholder:"FILE"`

	watches bool // see [Watch]
}

func (Doctor) Help() string {
	return `Checks every part and changes nothing: table, queues, dead letters, pauses with their held events, functions with their version, concurrency, trigger and schedule, alarms and who gets them, secrets, this machine's clock, records and messages that are overdue, dead events, unreadable rows (of the first 50000), Stripe's key and endpoint, the accounts and endpoints that reconcile and consumer are configured with, the addresses that may deliver, and the last pass of reconcile. The endpoint's URL gets one delivery without a signature, to check what responds there.

  ok no problem found
  warn     degraded, or could not be checked
  fail     events are lost, late or refused, now or at the next fault
  skipped  there is nothing to check here

Exit 1 if anything fails, or if nothing could be checked.

  tollgate doctor --stack tollgate-live
  curl -O https://stripe.com/files/ips/ips_webhooks.json
  tollgate doctor --stack tollgate-live --published-ips ips_webhooks.json`
}

// Run runs all checks and fails when one does.
func (c *Doctor) Run(ctx context.Context, a *verb.App) error {
	if c.Timeout <= 0 {
		return verb.Usage("--timeout is over 0")
	}
	published, err := c.published()
	if err != nil {
		return err
	}
	t, err := a.Target(ctx)
	if verb.IsUsage(err) {
		return err
	}
	var all []doctor.Finding
	if err != nil {
		all = []doctor.Finding{{Name: "target", Status: doctor.Fail, Detail: err.Error(), Fix: a.HintOf(err)}}
	} else {
		checks, err := c.checks(ctx, a, t, published)
		if err != nil {
			return err
		}
		all = append([]doctor.Finding{{Name: "target", Status: doctor.OK, Detail: t.Name}}, doctor.Run(ctx, c.Timeout, checks)...)
		located(all, t)
	}
	show(a, all)
	if n := count(all, doctor.Fail); n > 0 {
		return fmt.Errorf("%d checks fail", n)
	}
	if !slices.ContainsFunc(all, seen) {
		return errors.New("no part of the system could be checked")
	}
	return nil
}

// seen reports whether a part was found without a problem. The target is what was asked for, and
// the clock may be that of a proxy.
func seen(f doctor.Finding) bool {
	return f.Status == doctor.OK && f.Name != "target" && f.Name != "clock"
}

// located completes the commands of AWS: its tools may have another Region than this command.
func located(all []doctor.Finding, t verb.Target) {
	if t.Local {
		return
	}
	complete := strings.NewReplacer("aws ", "aws --region "+t.AWS.Region+" ", "--stack-name STACK", "--stack-name "+t.Prefix())
	for i := range all {
		all[i].Fix = complete.Replace(all[i].Fix)
	}
}

func count(all []doctor.Finding, s doctor.Status) (n int) {
	for _, f := range all {
		if f.Status == s {
			n++
		}
	}
	return n
}

// maxPublished is far over the size of Stripe's list.
const maxPublished = 1 << 20

// published reads the file of Stripe's addresses, nil if none is named.
func (c *Doctor) published() ([]netip.Prefix, error) {
	if c.PublishedIPs == "" {
		return nil, nil
	}
	f, err := os.Open(c.PublishedIPs)
	if err != nil {
		return nil, verb.Usage("--published-ips: %v", err)
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, maxPublished+1))
	if err == nil && len(raw) > maxPublished {
		err = errors.New("it is larger than Stripe's list can be")
	}
	if err != nil {
		return nil, verb.Usage("--published-ips %s: %v", c.PublishedIPs, err)
	}
	list, err := doctor.ParsePublished(raw)
	if err != nil {
		return nil, verb.Usage("--published-ips %s: %v", c.PublishedIPs, err)
	}
	return list, nil
}

// Watch runs the checks that a page can repeat every minute: none reads a secret, asks Stripe, calls
// the endpoint or scans the table.
func Watch(ctx context.Context, a *verb.App, t verb.Target, timeout time.Duration) ([]doctor.Finding, error) {
	all, err := (&Doctor{Timeout: timeout, watches: true}).checks(ctx, a, t, nil)
	if err != nil {
		return nil, err
	}
	found := doctor.Run(ctx, timeout, all)
	located(found, t)
	return found, nil
}

func (c *Doctor) checks(ctx context.Context, a *verb.App, t verb.Target, published []netip.Prefix) ([]doctor.Check, error) {
	clock := &clockWatch{asked: map[string]time.Duration{}}
	t.AWS = clock.watch(t.AWS)
	reader, err := t.Reader()
	if err != nil {
		return nil, err
	}
	table := dynamodb.NewFromConfig(t.AWS)
	queues := sqs.NewFromConfig(t.AWS)
	site := targetOf(a, t)
	deliveries, err := dynamostore.NewDeliveries(table, t.Table, dynamostore.Options{Limits: site.Limits})
	if err != nil {
		return nil, err
	}
	checks := []doctor.Check{
		doctor.CheckTable(tableOf{table, t.Table}, site),
		doctor.CheckQueues(queueOf(queues, t.QueueURL), queueOf(queues, t.DLQURL), site),
		doctor.Skip("pauses", "the hold queue is not known: name the system by --stack, or set TOLLGATE_HOLD_QUEUE_URL"),
	}
	if t.HoldURL != "" {
		checks[2] = doctor.CheckPauses(queueOf(queues, t.HoldURL), pausesOf{reader, t}, site, time.Now)
	}
	sending := func(ctx context.Context) (doctor.Sending, error) { return localSending(ctx, t, queues) }
	if t.Local {
		checks = append(checks, doctor.Skip("functions", "tollgate dev runs them itself"), doctor.Skip("alarms", "a local system has none"),
			doctor.Skip("allowed addresses", "a local system takes deliveries from any"))
	} else {
		cloud := cloud{t}
		checks = append(checks,
			doctor.CheckHistory(cloud.tables), doctor.CheckFunctions(cloud, t.Prefix(), site), doctor.CheckSchedule(cloud.rules), doctor.CheckAlarms(cloud, t.Prefix()),
			doctor.CheckSources(func(ctx context.Context) ([]netip.Prefix, error) { return allowIPs(ctx, t) }, published))
		sending = func(ctx context.Context) (doctor.Sending, error) { return sendingOf(ctx, t, cloud, queues) }
	}
	records, outbox := doctor.CheckRecords(recordsOf{reader}.open, site, time.Now), doctor.CheckOutbox(recordsOf{reader}.unsent, site, time.Now)
	last := []doctor.Check{doctor.CheckReconcile(reader.Covered, site, time.Now), doctor.CheckClock(clock.offsets, site)}
	if c.watches {
		checks = append(checks, doctor.CheckDestinations(sending, nil, deliveries.State, site, time.Now), records, outbox)
		return append(checks, last...), nil
	}
	secret := secretValues{secretsmanager.NewFromConfig(t.AWS)}.value
	asking, stop := context.WithTimeout(ctx, c.Timeout)
	defer stop()
	client, missing := a.Stripe(asking, t)
	checks = append(checks,
		doctor.CheckDestinations(sending, secret, deliveries.State, site, time.Now),
		doctor.CheckWebhookSecret(secret, t.WebhookSecretID),
		doctor.CheckAPIKey(secret, t.APIKeySecretID, site),
		records,
		doctor.CheckRows(recordsOf{reader}.broken),
		outbox,
		doctor.CheckStripe(client, missing, refusedByStripe, site, time.Now),
		doctor.CheckAccounts(func(ctx context.Context) (doctor.Accounts, error) { return accountsOf(ctx, t) }, client, missing),
		c.endpoint(a, t, missing),
	)
	return append(checks, last...), nil
}

// endpoint compares Stripe's endpoint. missing is the reason why there is no key.
func (c *Doctor) endpoint(a *verb.App, t verb.Target, missing error) doctor.Check {
	switch {
	case t.Local:
		return doctor.Skip("endpoint", "a local system needs none at Stripe; tollgate endpoint status checks one")
	case missing != nil:
		return doctor.CheckEndpoint(func(context.Context) (registration.Plan, error) { return registration.Plan{}, missing })
	}
	return doctor.CheckEndpoint(planOf(a, verb.EndpointFlags{Endpoint: c.Endpoint}))
}

// targetOf returns the target's limits and its mode. The stage's name is part of the queue's;
// a stage named like production is in live mode.
func targetOf(a *verb.App, t verb.Target) doctor.Target {
	prefix := t.Prefix()
	return doctor.Target{Local: t.Local, Version: a.Version, Live: limits.Production(strings.TrimPrefix(prefix, "tollgate-")), Known: t.Local || strings.HasPrefix(prefix, "tollgate-"), Limits: t.Limits()}
}

// show prints the findings, and what to do about those that are not ok.
func show(a *verb.App, all []doctor.Finding) {
	verb.List(a, all, func(f doctor.Finding) any { return f }, "", "status|check|detail",
		func(f doctor.Finding) []string { return []string{string(f.Status), f.Name, f.Detail} })
	if a.JSON {
		return
	}
	for _, f := range all {
		if f.Fix != "" && f.Status != doctor.OK {
			fmt.Fprintf(a.Out, "%s: %s\n", f.Name, verb.OneLine(f.Fix))
		}
	}
	fmt.Fprintf(a.Out, "%d ok, %d warn, %d fail, %d skipped\n",
		count(all, doctor.OK), count(all, doctor.Warn), count(all, doctor.Fail), count(all, doctor.Skipped))
}
