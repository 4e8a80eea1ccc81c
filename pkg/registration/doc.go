// Package registration compares the webhook endpoints that Stripe has registered with
// the one that this system wants, and brings them together: what to create, update or
// leave, in which order, and what to undo when a step fails.
//
// Stripe says an endpoint's signing secret once, in the answer that creates it. So the
// secret is stored before anything is called done, and an endpoint whose secret could
// not be stored is deleted again, or named to the operator. API version and Connect
// cannot be changed: another one is created, and the old one delivers on until it is
// retired. The package prints no secret, and makes no request and keeps no state itself.
//
//	p := registration.Make(wanted, endpoints, registration.Known{})
//	done, err := registration.Applier{Registrar: stripe, Lister: stripe, Vault: vault, Say: say, Run: run}.Apply(ctx, p)
//
// Stored secrets are one JSON object, from endpoint name to its active secrets, newest
// first. All writers use [Change], which replaces only the version that it read, and
// edits anew what another writer put there meanwhile.
package registration
