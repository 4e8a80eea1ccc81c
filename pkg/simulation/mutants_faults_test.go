package simulation

// faultMutants are seeded bugs in the handling of single faults: a request without an answer, a
// brief refusal, a hot item, an expired signature, an unusable secret and a slow Stripe.
func faultMutants() []mutant {
	const (
		claim   = "dynamostore/claim.go"
		retry   = "dynamostore/retry.go"
		failure = "consumer/failure.go"
		aws     = "awsclient/awsclient.go"
		sender  = "sqsqueue/sender.go"
		copies  = "sqsqueue/consumer.go"
		ingest  = "ingest/ingest.go"
		secrets = "secrets/webhook.go"
		stored  = "registration/stored.go"
		get     = "stripeapi/get.go"
		fetch   = "stripeapi/event.go"
		limit   = "limits/limits.go"
		replay  = "replay/replay.go"
	)
	return []mutant{
		// Tries.
		one("a claim is not repeated after a lost answer", claim, "faults == limits.CallTries ||", "faults > 0 ||"),
		one("a claim is repeated with a new owner", claim, "				return idempotency.ClaimResult{}, f.down(\"claim\")\n			}\n		default:", "				return idempotency.ClaimResult{}, f.down(\"claim\")\n			}\n			req.Owner += \"+\"\n			in = s.claimInput(req)\n		default:"),
		one("a try of a write has no bound", retry, "context.WithTimeout(ctx, s.try)", "context.WithCancel(ctx)"),
		one("a try of a client has no bound", aws, "		Timeout: try,\n", ""),
		one("an expired signature is not made again", aws, "s.MaxAttempts, s.Retryables = 2,", "s.MaxAttempts, s.Retryables = 1,"),
		one("an expired signature is read as another refusal", aws, `strings.Contains(text, "expired") ||`, ""),
		one("sends are repeated without a pause", sender, "q.limits.SendPause<<(try-1)", "0"),
		one("a send that failed is not repeated", limit, "SendTries:      3,", "SendTries:      1,"),

		// Hot items.
		one("a hot item reads as a store that is down", failure, "if errors.Is(err, idempotency.ErrThrottled) {", "if errors.Is(err, idempotency.ErrThrottled) && false {"),
		one("hot items never stop a batch", failure, "b.throttled.Add(1) > 1", "b.throttled.Add(1) > 1000").by("TestHotRecords"),

		// Secrets.
		one("a bad list of secrets replaces a good one", secrets, "fetched[endpoint] = known[endpoint]", "fetched[endpoint] = nil"),
		one("a secret is asked for before the header is checked", ingest, "	if err := verify.Header(r.Signature, h.tolerance); err != nil {\n		return verify.Result{}, err\n	}\n", ""),
		one("white space around a secret is kept", stored, "trimmed := strings.TrimSpace(*text)", "trimmed := *text"),

		// Stripe.
		one("a read at Stripe is repeated late", get, "time.Until(deadline) < wait+c.o.TryTimeout", "time.Until(deadline) < wait"),
		one("a read at Stripe has 3 s", limit, "StripeTry:        t(6 * time.Second),", "StripeTry:        t(3 * time.Second),"),
		one("a read at Stripe that failed early is not repeated", get, "if try >= c.o.Tries ||", "if try >= 1 ||"),
		one("a revoked account is taken for transient", fetch, "	case errors.Is(err, ErrAccountRevoked):\n		return dispatch.Park(dispatch.ReasonAccountRevoked, err)\n", ""),

		// The dead-letter queue, and operators.
		one("a copy that is too large is not made smaller", copies, "err := q.deadLetter(ctx, m, form); !invalid(err) {", "err := q.deadLetter(ctx, m, form); !invalid(err) || true {"),
		one("a copy is never sent without attributes", copies, "	err := q.deadLetter(ctx, m, queue.DeadLetter{})\n", "	err := q.deadLetter(ctx, m, short)\n"),
		one("a replay runs under an endpoint that excludes it", replay, "r.cfg.Excludes != nil && r.cfg.Excludes(e)", "r.cfg.Excludes != nil && r.cfg.Excludes(e) && r.cfg.DryRun"),
	}
}
