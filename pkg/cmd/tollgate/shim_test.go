package main

import (
	"tollgate/pkg/cmd/tollgate/audit"
	"tollgate/pkg/cmd/tollgate/dev"
	"tollgate/pkg/cmd/tollgate/endpoint"
	"tollgate/pkg/cmd/tollgate/outbox"
	"tollgate/pkg/cmd/tollgate/reconcile"
)

type (
	auditView    = audit.View
	outboxView   = outbox.View
	released     = outbox.Result
	applyView    = endpoint.Applied
	rollView     = endpoint.RollStatus
	changedView  = endpoint.Rolled
	reportView   = reconcile.View
	gapView      = reconcile.Gap
	excludedView = reconcile.Excluded
	sceneEnd     = dev.ScenarioEnd
	delivery     = dev.Delivery
)
