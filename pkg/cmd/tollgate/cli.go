package main

import (
	"context"

	"tollgate/pkg/cmd/tollgate/deadletters"
	"tollgate/pkg/cmd/tollgate/events"
	"tollgate/pkg/cmd/tollgate/reconcile"
	"tollgate/pkg/cmd/tollgate/verb"
)

// cli is the whole command line; each verb is a file of its own.
type cli struct {
	verb.Globals

	Dev    devCmd  `cmd:"" help:"Run the whole system on this machine."`
	Env    envCmd  `cmd:"" help:"Print the environment with which AWS's tools reach the local system."`
	Send   sendCmd `cmd:"" help:"Sign events as Stripe does and post them."`
	Events struct {
		List   eventsListCmd `cmd:"" help:"List events: failed, dead and retrying ones, or by filter."`
		Show   eventsShowCmd `cmd:"" help:"Show what is known of one event."`
		Replay events.Replay `cmd:"" help:"Run done events again."`

		Purge      events.Purge      `cmd:"" help:"Purge one event by its id: reconcile no longer sends it."`
		Reidentify events.Reidentify `cmd:"" help:"Correct a record that was made under another identity."`
	} `cmd:"" help:"What the table knows of events."`
	DLQ       deadletters.Commands `cmd:"" name:"dlq" help:"The dead-letter queue."`
	Redrive   deadletters.Redrive  `cmd:"" help:"Send dead letters to the queue again."`
	Backfill  reconcile.Backfill   `cmd:"" help:"Enqueue what Stripe's list has and the table lacks."`
	Reconcile reconcileCmds        `cmd:"" help:"What reconcile has proved."`
	Outbox    outboxCmds           `cmd:"" help:"Messages that handlers requested: held, or not sent yet."`
	Endpoint  endpointCmds         `cmd:"" help:"Stripe's webhook endpoint of this system."`
	Secret    secretCmds           `cmd:"" help:"The signing secret."`
	Ledger    ledgerCmds           `cmd:"" help:"The billing ledger that the handlers keep."`
	Audit     auditCmds            `cmd:"" help:"Who changed what, and why."`
	Doctor    doctorCmd            `cmd:"" help:"Check what breaks such systems, and say what to do."`
}

// run runs the verb that the arguments name.
func run(ctx context.Context, args []string, env lookup, s streams) int {
	return verb.Run(ctx, &cli{}, args, env, verb.Streams{In: s.in, Out: s.out, Err: s.err}, func(a *verb.App) any { return appOf(a) })
}
