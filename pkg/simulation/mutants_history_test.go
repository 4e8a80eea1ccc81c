package simulation

// historyMutants are seeded bugs in a record's history of failed attempts.
func historyMutants() []mutant {
	const (
		history   = "idempotency/history.go"
		law       = "idempotency/writes.go"
		fail      = "dynamostore/fail.go"
		unclaimed = "dynamostore/unclaimed.go"
		commit    = "dynamostore/complete.go"
		codec     = "dynamostore/history.go"
		record    = "dynamostore/record.go"
		groups    = "causes/causes.go"
	)
	return []mutant{
		one("a failure is not in the history", fail, ", hist=:hist\"", "\""),
		one("a failure at once is not in the history", unclaimed, "		\"hist\": historyString(c.Failed(f)),\n", ""),
		one("a failure replaces the history", history, "slices.Clone(c.History)", "slices.Clone(c.History[:0])"),
		one("a claim forgets the history", law, ", History: r.History", ""),
		one("an attempt begins at its failure", history, "time.UnixMilli(c.Start.UnixMilli())", "time.UnixMilli(f.Now.UnixMilli())"),
		one("an attempt begins at a purge", law, "		old.Updated = req.Now\n", "").by("TestMemory").in("idempotency/idempotencytest"),
		one("a history of nine", history, "all[max(0, len(all)-MaxHistory):]", "all[max(0, len(all)-MaxHistory+1):]"),
		one("a history without a bound", history, "all[max(0, len(all)-MaxHistory):]", "all"),
		one("the first ten attempts", history, "all[max(0, len(all)-MaxHistory):]", "all[:min(len(all), MaxHistory)]"),
		one("a completion keeps the history", commit, "rc_left, reason, hist, purged", "rc_left, reason, purged"),
		one("a cause like the one before is unknown", codec, "	case \"\":\n		return last\n", "	case \"\":\n		return \"\"\n"),
		one("a history that cannot be read breaks its record", record, "historyAttempts(attributes[\"hist\"])", "historyAttempts(str(a.str(\"hist\")))").by("TestUnreadableHistory").in("dynamostore"),
		one("a replay keeps an older release's history", "dynamostore/replay.go", "err, hist, reason", "err, reason").by("TestOlderReleasesWrites").in("dynamostore"),
		one("a failure does not tell where it was made", "consumer/failure.go", "Frame: dispatch.FrameOf(err)", "Frame: \"\"").by("TestCopyAndRecordTellOneError").in("consumer"),
		one("a handler's own error has no frame", "dispatch/frame.go", "	if err == nil || FrameOf(err) != \"\" {", "	if err != nil {").by("TestFrameOf").in("dispatch"),

		// What they are grouped by.
		one("a moved message has another fingerprint than its failures", "redrive/deadletter.go", "	if cause.Reason == ReasonMaxReceives {", "	if cause.Reason == \"\" {").by("TestDeadLetter").in("redrive"),
		one("a dead letter of a known event counts again", groups, "	if _, known := c.last[id]; known {", "	if c.last == nil {").by("TestCauses").in("causes"),
		one("a leftover counts as an event that fails", groups, "		c.Leftovers++\n		return\n", "		c.Leftovers++\n").by("TestCauses").in("causes"),
		one("a purged event fails", groups, "|| status.Name == idempotency.StatusPurged ", "").by("TestCauses").in("causes"),
		one("an older release's failure has the cause before", groups, "(r.State == idempotency.Running || a.Number == r.Attempt)", "a.Number > 0").by("TestCauses").in("causes"),
	}
}
