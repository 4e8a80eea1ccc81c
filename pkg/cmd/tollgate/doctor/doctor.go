// Package doctor has the verb that checks the whole system.
package doctor

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/doctor"
	"tollgate/pkg/dynamostore"
)

// Doctor checks the system.
type Doctor struct {
	Timeout  time.Duration `default:"20s" help:"Time limit of each check. Default: 20s."`
	Endpoint string        `default:"default" help:"Endpoint to compare with Stripe's. Default: default." placeholder:"NAME"`
}

func (Doctor) Help() string {
	return `Checks every part and changes nothing: table, queues, functions and their trigger, alarms, secrets, this machine's clock, records whose next attempt is overdue, dead events, unreadable rows (of the first 50000), Stripe's key and endpoint, the accounts and endpoints that reconcile and consumer are configured with, and the last pass of reconcile. The endpoint's URL gets one delivery without a signature, to check what responds there.

  ok no problem found
  warn     degraded, or could not be checked
  fail     events are lost, late or refused, now or at the next fault
  skipped  there is nothing to check here

Exit 1 if anything fails.

  tollgate doctor --stack tollgate-live`
}

// Run runs all checks and fails when one does.
func (c *Doctor) Run(ctx context.Context, a *verb.App) error {
	if c.Timeout <= 0 {
		return verb.Usage("--timeout is over 0")
	}
	t, err := a.Target(ctx)
	if verb.IsUsage(err) {
		return err
	}
	var all []doctor.Finding
	if err != nil {
		all = []doctor.Finding{{Name: "target", Status: doctor.Fail, Detail: err.Error(), Fix: a.HintOf(err)}}
	} else {
		checks, err := c.checks(ctx, a, t)
		if err != nil {
			return err
		}
		all = append([]doctor.Finding{{Name: "target", Status: doctor.OK, Detail: t.Name}}, doctor.Run(ctx, c.Timeout, checks)...)
	}
	show(a, all)
	if n := count(all, doctor.Fail); n > 0 {
		return fmt.Errorf("%d checks fail", n)
	}
	return nil
}

func count(all []doctor.Finding, s doctor.Status) (n int) {
	for _, f := range all {
		if f.Status == s {
			n++
		}
	}
	return n
}

func (c *Doctor) checks(ctx context.Context, a *verb.App, t verb.Target) ([]doctor.Check, error) {
	clock := &clockWatch{asked: map[string]time.Duration{}}
	watched := t
	watched.AWS = clock.watch(t.AWS)
	reader, err := watched.Reader()
	if err != nil {
		return nil, err
	}
	table := dynamodb.NewFromConfig(watched.AWS)
	queues := sqs.NewFromConfig(watched.AWS)
	secret := secretValues{secretsmanager.NewFromConfig(watched.AWS)}.value
	site := targetOf(t)
	prefix := t.Prefix()
	client, missing := a.Stripe(ctx, t)
	checks := []doctor.Check{
		doctor.CheckTable(tableOf{table, t.Table}, site),
		doctor.CheckQueues(queueOf(queues, t.QueueURL), queueOf(queues, t.DLQURL), site),
	}
	deliveries, err := dynamostore.NewDeliveries(table, t.Table, dynamostore.Options{Limits: site.Limits})
	if err != nil {
		return nil, err
	}
	sending := func(ctx context.Context) (doctor.Sending, error) { return localSending(ctx, t, queues) }
	if t.Local {
		checks = append(checks, doctor.Skip("functions", "tollgate dev runs them itself"), doctor.Skip("alarms", "a local system has none"))
	} else {
		cloud := cloud{watched.AWS, t.QueueURL}
		checks = append(checks, doctor.CheckFunctions(cloud, prefix, site), doctor.CheckAlarms(cloud.alarms, prefix))
		sending = func(ctx context.Context) (doctor.Sending, error) { return sendingOf(ctx, t, cloud, queues) }
	}
	checks = append(checks,
		doctor.CheckDestinations(sending, secret, deliveries.State, site, time.Now),
		doctor.CheckWebhookSecret(secret, t.WebhookSecretID),
		doctor.CheckAPIKey(secret, t.APIKeySecretID, site),
		doctor.CheckRecords(recordsOf{reader}.open, site, time.Now),
		doctor.CheckRows(recordsOf{reader}.broken),
		doctor.CheckStripe(client, missing, site, time.Now),
		doctor.CheckAccounts(func(ctx context.Context) (doctor.Accounts, error) { return accountsOf(ctx, t) }, client, missing),
	)
	switch {
	case t.Local:
		checks = append(checks, doctor.Skip("endpoint", "a local system needs none at Stripe; tollgate endpoint status checks one"))
	case missing != nil:
		checks = append(checks, doctor.Skip("endpoint", "there is no key for Stripe's API"))
	default:
		checks = append(checks, doctor.CheckEndpoint(planOf(a, verb.EndpointFlags{Endpoint: c.Endpoint})))
	}
	return append(checks, doctor.CheckReconcile(reader.Covered, site, time.Now), doctor.CheckClock(clock.offsets, site)), nil
}

// targetOf returns the target's limits and its mode. The stage's name is part of the queue's;
// only the stage live is in live mode.
func targetOf(t verb.Target) doctor.Target {
	prefix := t.Prefix()
	return doctor.Target{Local: t.Local, Live: prefix == "tollgate-live", Known: t.Local || strings.HasPrefix(prefix, "tollgate-"), Limits: t.Limits()}
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
