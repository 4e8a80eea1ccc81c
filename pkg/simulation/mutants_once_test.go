package simulation

// onceMutants are seeded bugs in runs without a claim. B12 is "TTL shorter than a copy's life".
func onceMutants() []mutant {
	const (
		message   = "consumer/message.go"
		failure   = "consumer/failure.go"
		commit    = "dynamostore/complete.go"
		unclaimed = "dynamostore/unclaimed.go"
		replay    = "dynamostore/replay.go"
		claim     = "dynamostore/claim.go"
		law       = "idempotency/writes.go"
		mux       = "dispatch/mux.go"

		when  = `unclaimedWhen = "attribute_not_exists(pk)"`
		first = "m.Receives == 1 && b.receivesLeft(m) > 0 &&"
		begun = "		return &fault{kind: rejected, text: err.Error()}\n	}\n"
	)
	return []mutant{
		one("B1: a record is put whatever is there", unclaimed, when, `unclaimedWhen = "attribute_not_exists(never)"`),
		one("B2: a failed record is replaced", unclaimed, when, `unclaimedWhen = "attribute_not_exists(pk) OR (attribute_exists(rc_left) AND attribute_not_exists(lease))"`),
		{name: "B3: a record whose lease is over is replaced", edits: []edit{
			{unclaimed, when, `unclaimedWhen = "attribute_not_exists(pk) OR lease < :cutoff"`},
			{unclaimed, "Item: record, ConditionExpression: aws.String(unclaimedWhen),\n", "Item: record, ConditionExpression: aws.String(unclaimedWhen),\n		ExpressionAttributeValues: item{\":cutoff\": millis(c.Unclaimed.LeaseExpiredBefore)},\n"},
			{unclaimed, "ConditionExpression: p.ConditionExpression,\n", "ConditionExpression: p.ConditionExpression, ExpressionAttributeValues: p.ExpressionAttributeValues,\n"},
		}},
		one("B4: any refusal is a duplicate", law, "		return old.State == Done\n", "		return old.State == Done || c.Unclaimed != nil\n"),
		one("B5: the record before its effects", commit, begun, begun+"	if c.Unclaimed != nil {\n		if f := s.write(ctx, record); f != nil {\n			return f\n		}\n		record, items = items[0], items[1:]\n	}\n"),
		one("B6: the effects before their record", commit, begun, begun+"	if c.Unclaimed != nil {\n		alone := &dynamodb.TransactWriteItemsInput{TransactItems: items}\n		if f := s.retry(ctx, func(ctx context.Context) error {\n			_, err := s.client.TransactWriteItems(ctx, alone)\n			return err\n		}); f != nil {\n			return f\n		}\n		return s.write(ctx, record)\n	}\n"),
		one("B7: a permanent failure leaves no record", failure, "	ctx, cancel := a.detachedContext()\n	defer cancel()\n	written, failErr", "	if isPermanent && a.claim.Unclaimed != nil {\n		return a.deadLetter(a.m, a.env, 1, permanent.Reason, err)\n	}\n	ctx, cancel := a.detachedContext()\n	defer cancel()\n	written, failErr").by("TestDeadLettersBreedNoCopies"),
		one("B8: a failure is put whatever is there", unclaimed, "		record[\"reason\"] = str(bounded(f.Reason))\n	}\n	return s.unclaimed(c, record)", "		record[\"reason\"] = str(bounded(f.Reason))\n	}\n	p := s.unclaimed(c, record)\n	p.ConditionExpression = aws.String(\"attribute_not_exists(never)\")\n	return p"),
		one("B9: a copy after a refused failure", failure, "	case idempotency.FailSuperseded:\n", "	case idempotency.FailSuperseded:\n		if isPermanent && a.claim.Unclaimed != nil {\n			break\n		}\n"),
		one("B10: no claim at the last receive", message, first, "(m.Receives == 1 || b.receivesLeft(m) == 0) &&"),
		one("B11: no claim at any receive", message, first, "").by("TestDeadLettersBreedNoCopies"),
		{name: "B13: a replay deletes the record", edits: []edit{
			{unclaimed, when, `unclaimedWhen = "attribute_not_exists(st)"`},
			{replay, `replayWhen = "st=:done AND gen=:gen"`, `replayWhen = "st=:done AND gen=:gen"` + "\n	forget     = \"REMOVE st, att, gen, own, ident, first_at, done_at, outcome, src\""},
			{replay, "UpdateExpression: aws.String(replaySet)", "UpdateExpression: aws.String(forget)"},
			{claim, "(attribute_not_exists(pk) OR st=:failed", "(attribute_not_exists(st) OR st=:failed"},
		}},

		one("no claim for a handler that is not pure", message, "(!h.Handles(env) || h.Pure(env))", "(h.Handles(env) || !h.Handles(env))"),
		one("no claim for a replayed event", message, "env.Source != event.Replay && ", "").by("TestWhoNeedsNoClaim").in("consumer"),
		one("a key without a claim", mux, "	if in.Attempt == 0 {\n", "	if in.Attempt < 0 {\n").by("TestPure").in("dispatch"),
		one("a record of another event is a duplicate", law, " && (old.Identity == \"\" || IdentitiesOf(e).Has(old.Identity))", "").by("TestMemory").in("idempotency/idempotencytest"),
		one("a duplicate of the webhook's leaves no note", law, "noted := old.Source == string(event.Reconcile) && e.Source.Delivered()", "noted := false").by("TestMemory").in("idempotency/idempotencytest"),
		one("a stuck handler's message runs again", message, "if a.claim.Unclaimed == nil || r.stuck {", "if a.claim.Unclaimed == nil {").by("TestStuckRunWithoutClaim").in("consumer"),
		one("an unclaimed run waits for its lease", message, "			r.delay = a.c.backoff(a.m) // there is no lease\n", "").by("TestRunWithoutClaim").in("consumer"),
		one("an unclaimed run is logged as attempt 1", message, "	if a.claim.Unclaimed != nil && !a.written {\n", "	if a.claim.Unclaimed != nil && a.claim.Attempt == 0 {\n").by("TestRunWithoutClaim").in("consumer"),
	}
}
