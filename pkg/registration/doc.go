// Package registration compares Stripe's webhook endpoints with the one that this system
// wants, and plans and applies the changes: what to create or update, in which order, and
// what to undo when a step fails.
//
// Stripe returns an endpoint's signing secret once, in the answer that creates it. The
// secret is stored before the endpoint counts as created; an endpoint whose secret cannot be
// stored is deleted again, or reported to the operator. API version and Connect cannot be
// changed: another endpoint is created, and the old one keeps delivering until it is
// retired. The package prints no secret, makes no request itself and has no state.
//
//	p := registration.Make(wanted, endpoints, registration.Known{})
//	done, err := registration.Applier{Registrar: stripe, Lister: stripe, Secrets: secrets, Log: log, Run: run}.Apply(ctx, p)
//
// The stored secrets are one JSON object, from endpoint name to its active secrets, newest
// first. All writers use [Change], which replaces only the version that it read, and edits
// again after another writer's change.
package registration
