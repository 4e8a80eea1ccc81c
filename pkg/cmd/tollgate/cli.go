package main

import (
	"tollgate/pkg/cmd/tollgate/audit"
	"tollgate/pkg/cmd/tollgate/console"
	"tollgate/pkg/cmd/tollgate/deadletters"
	"tollgate/pkg/cmd/tollgate/destinations"
	"tollgate/pkg/cmd/tollgate/dev"
	"tollgate/pkg/cmd/tollgate/doctor"
	"tollgate/pkg/cmd/tollgate/endpoint"
	"tollgate/pkg/cmd/tollgate/events"
	"tollgate/pkg/cmd/tollgate/hold"
	"tollgate/pkg/cmd/tollgate/ledger"
	"tollgate/pkg/cmd/tollgate/outbox"
	"tollgate/pkg/cmd/tollgate/reconcile"
	"tollgate/pkg/cmd/tollgate/verb"
)

type cli struct {
	verb.Globals

	Dev    dev.Dev  `cmd:"" help:"Run the whole system on this machine."`
	Env    dev.Env  `cmd:"" help:"Print the environment variables that AWS tools need for the local system."`
	Send   dev.Send `cmd:"" help:"Sign events as Stripe does and post them."`
	Events struct {
		List   events.List   `cmd:"" help:"List events: failed, dead and retrying ones, or by filter."`
		Show   events.Show   `cmd:"" help:"Show one event's status, attempts and effects."`
		Replay events.Replay `cmd:"" help:"Run done events again."`

		Payload events.Payload `cmd:"" help:"Print one event's JSON from Stripe."`

		Purge      events.Purge      `cmd:"" help:"Purge one event by its id: reconcile no longer sends it."`
		Reidentify events.Reidentify `cmd:"" help:"Correct the identity of an event's record."`
	} `cmd:"" help:"Events and their records."`
	Causes    events.Causes        `cmd:"" help:"Why events fail now, by type and error, before and after they are dead letters."`
	DLQ       deadletters.Commands `cmd:"" name:"dlq" help:"The dead-letter queue."`
	Redrive   deadletters.Redrive  `cmd:"" help:"Send dead letters to the queue again."`
	Pause     hold.Pause           `cmd:"" help:"Pause an event type, or everything: its events are held."`
	Resume    hold.Resume          `cmd:"" help:"Resume what was paused: held events are handled."`
	Hold      hold.Commands        `cmd:"" help:"What is paused, and held events."`
	Backfill  reconcile.Backfill   `cmd:"" help:"Enqueue events that Stripe lists and the table lacks."`
	Reconcile reconcile.Commands   `cmd:"" help:"Coverage of reconcile's passes."`
	Outbox    outbox.Commands      `cmd:"" help:"Messages that handlers requested: held, or not sent yet."`

	Destination destinations.Commands   `cmd:"" help:"Receivers of messages and events, and their deliveries."`
	Deliveries  destinations.Deliveries `cmd:"" help:"Single deliveries to a destination, and its receiver's tokens."`
	Listen      destinations.Listen     `cmd:"" help:"Receive deliveries, verify and print them."`

	Endpoint endpoint.Commands       `cmd:"" help:"Stripe's webhook endpoint of this system."`
	Secret   endpoint.SecretCommands `cmd:"" help:"The signing secret."`
	Ledger   ledger.Commands         `cmd:"" help:"The example handlers' billing ledger."`
	Audit    audit.Commands          `cmd:"" help:"Who changed what, and why."`
	Console  console.Console         `cmd:"" help:"Pages to look and to fix, served on this machine."`
	Doctor   doctor.Doctor           `cmd:"" help:"Check the whole system, and print what to fix."`
}
