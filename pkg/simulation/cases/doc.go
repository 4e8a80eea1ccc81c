// Package cases has inputs that have broken billing ledgers, made after public reports, each with
// the ledger that is right for it. Its test plays them through the real parser, client, handlers
// and a fake Stripe, in many orders and with duplicates; the end-to-end test plays the same inputs
// through the real binaries.
package cases
