// Package check has the console's pages that compare and account: customers' ledgers, the
// coverage of reconcile, the endpoint at Stripe, and the audit trail.
package check

import (
	"embed"
	"slices"

	"tollgate/pkg/cmd/tollgate/console/job"
	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/console"
)

//go:embed *.html
var templates embed.FS

// Pages are the views.
func Pages(a *verb.App) []console.Page {
	return slices.Concat(customerPages(a), coveragePages(a), endpointPages(a), auditPages(a))
}

// Actions are the changes.
func Actions(a *verb.App) (list []console.Action) {
	for _, f := range []job.Form{verifyForm(), backfillForm(), statusForm(), applyForm()} {
		list = append(list, f.Action(a))
	}
	return list
}
