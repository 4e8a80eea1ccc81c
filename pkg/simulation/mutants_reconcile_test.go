package simulation

// reconcileMutants are seeded bugs of reconcile, redrive, replay and the limits.
//
// Bugs that only send an event once more break no invariant and are not listed: a failed read taken
// for no records, unprocessed keys taken for absent, a lease that reconcile does not wait for, a
// redrive that keeps the dead letter it sent.
func reconcileMutants() []mutant {
	const (
		pass  = "reconcile/pass.go"
		rule  = "reconcile/rule.go"
		tier  = "reconcile/tier.go"
		sum   = "reconcile/sum.go"
		read  = "dynamostore/reader.go"
		purge = "dynamostore/operator.go"
		move  = "redrive/move.go"
		again = "replay/replay.go"
		batch = "consumer/batch.go"
		life  = "consumer/message.go"
		fails = "consumer/failure.go"
		limit = "limits/limits.go"
	)
	return []mutant{
		// What reconcile sends.
		one("reconcile trusts rc_left in the weekly tier", rule, "case r.sweep:", "case r.sweep && s.Name != idempotency.StatusDead:"),
		one("reconcile ignores rc_left", rule, "case s.Stuck && s.Name != idempotency.StatusDead:", "case s.Stuck:").by("TestDeadLettersBreedNoCopies"),
		one("reconcile sends what is under way", rule, "case s.Stuck && ", "case ").by("TestDeadLettersBreedNoCopies"),
		one("replayed records count as dead letters", rule, "case s.Stuck && ", "case s.Stuck && rec.ReceivesLeft > 0 && ").by("TestReplayWithoutItsMessage"),
		one("reconcile takes a running record for done", rule, "case s.Name == idempotency.StatusDone, ", "case s.Name == idempotency.StatusDone, rec.State == idempotency.Running, "),
		one("reconcile takes no record for a done one", rule, "	if rec == nil {\n		return unrecorded\n", "	if rec == nil {\n		return known\n"),
		one("reconcile drops what it cannot read as a whole", pass, "if !i.sendable() {", "if i.Err != nil {"),
		one("reconcile takes a refused send for sent", pass, `return v, fmt.Errorf("enqueue %.80s: %w", e.ID, err)`, "return v, nil").by("TestBrownouts"),
		one("no guard of a long queue", pass, "	if sweep {\n		return true, nil", "	if sweep || l.MaxSends > 0 {\n		return true, nil").by("TestStoppedConsumer"),
		one("reconcile writes a placeholder", pass, "	if err := p.cfg.Sender.Send(ctx, e, \"\"); err != nil {", "	at := time.Unix(e.Created, 0)\n	marks, _, err := p.cfg.Coverage.Covered(ctx, at, at.Add(time.Second))\n	if err != nil {\n		return v, err\n	}\n	for _, m := range marks {\n		if m.Tier == \"sent \"+e.ID {\n			return known, nil\n		}\n	}\n	if err := p.cfg.Coverage.Cover(ctx, Covered{Tier: \"sent \" + e.ID, From: at, To: at.Add(-time.Second)}); err != nil {\n		return v, err\n	}\n	if err := p.cfg.Sender.Send(ctx, e, \"\"); err != nil {"),

		// Where reconcile looks, and what it notes.
		one("windows that abut", tier, "Span: l.Frequent.Span, Lag", "Span: l.Frequent.Every + l.SettleLag, Lag").by("TestWithheldEvents"),
		one("no settle lag", tier, "Span: l.Frequent.Span, Lag: l.SettleLag, Slice: min", "Span: l.Frequent.Span, Slice: min").by("TestWithheldEvents"),
		one("one page of each list", pass, "; err != nil || !page.More {", "; err != nil || page.Last != q.After {"),
		one("a slice is noted before it is compared", pass, "	var c Counts\n	for _, part", "	var c Counts\n	_ = p.cfg.Coverage.Cover(ctx, Covered{Livemode: p.live, Account: account, Tier: t.Name, From: w.From, To: w.To, DoneAt: p.cfg.Now()})\n	for _, part"),
		one("a slice is noted though events were put off", pass, "if c.Deferred > 0 {", "if c.Deferred > 0 && p.dry {").by("TestStoppedConsumer"),

		// Which records it leaves unread.
		one("a message lost after a replay is not seen in a finished slice", sum, "if _, is := p.open[i.Event.ID]; is {", "if _, is := p.open[i.Event.ID]; is && page.More {").by("TestReplayOfAFinishedSlice"),
		one("a finished slice is not listed again", sum, "err == nil && sumOf(ids) != w.sum {", "err == nil && w.sum == \"\" {").by("TestLateInFinishedSlices"),
		one("a slice is known by the number of its events", sum, "len(ids), hash[:16])", "len(ids), hash[:0])").by("TestChangesInFinishedSlices").in("reconcile"),
		one("a slice is finished with what was sent", sum, "what != mismatched && what != unreadable && (open || rec.State == idempotency.Done)", "what != mismatched && what != unreadable && (open || rec.State != \"?\")").by("TestSumOfWhatIsAccountedFor").in("reconcile"),
		one("a finished slice may have contradictions", sum, "if what != mismatched && what != unreadable && ", "if what != unreadable && ").by("TestSumOfWhatIsAccountedFor").in("reconcile"),
		one("sums without the index of open records", sum, `		p.open = nil
		p.cfg.Logger.WarnContext(`, `		p.open = map[string]int64{}
		p.cfg.Logger.WarnContext(`).by("TestChangesInFinishedSlices").in("reconcile"),
		one("sums of any version", sum, "!strings.HasPrefix(n.Sum, sumVersion) {", "n.Sum == \"\" {").by("TestSumsOfOtherVersions").in("reconcile"),
		one("what the list shows late waits for the nightly pass", sum, "DoneAt.Before(w.To.Add(p.cfg.Limits.Reconcile.Late)) {", "DoneAt.Before(w.To) {").by("TestWithheldEvents"),
		one("settled slices with open events", sum, "if at := time.Unix(created, 0); created == 0 || ", "if at := time.Unix(created, 0); created < 0 && ").by("TestSettledSlicesAreNotListed").in("reconcile"),
		{name: "a purge takes the record out of the index", edits: []edit{
			{purge, `purge_by=:who, upd=:now, exp=:exp"`, `purge_by=:who, upd=:now, exp=:exp REMOVE #open"`},
			{purge, "UpdateExpression: aws.String(purgeSet),", "ExpressionAttributeNames: openName(), UpdateExpression: aws.String(purgeSet),"},
		}, test: "TestPurgedRecordsStayInTheIndex", dir: "dynamostore"},
		one("what an eventual read misses is missing", read, "[]bool{false, true}", "[]bool{false}").by("TestRecordsAreReadAgain").in("dynamostore"),

		// Redrive.
		one("redrive deletes before it sends", move, "	refused, err := call(ctx, m.Mover.Send, messages)\n", "	_, _ = m.Mover.Delete(ctx, messages)\n	refused, err := call(ctx, m.Mover.Send, messages)\n"),
		one("redrive deletes what was refused", move, "m.result.Refused+1, err.Error()\n			continue\n", "m.result.Refused+1, err.Error()\n").by("TestRedriveThroughBrownout"),
		one("redrive takes an error for sent", move, "	refused, err := call(ctx, m.Mover.Send, messages)\n	if err != nil {\n		return err\n	}\n", "	refused, _ := call(ctx, m.Mover.Send, messages)\n").by("TestRedriveThroughBrownout"),

		// Replay.
		{name: "replay sends before it writes", edits: []edit{
			{again, "	if err := r.cfg.Queue.Send(ctx, e, \"\"); err != nil {\n", "	if err := error(nil); err != nil {\n"},
			{again, "	if action == Replayed {\n", "	if err := r.cfg.Queue.Send(ctx, e, \"\"); err != nil {\n		return err\n	}\n	if action == Replayed {\n"},
		}},
		one("replay takes a refused message for sent", again, "	if err := r.cfg.Queue.Send(ctx, e, \"\"); err != nil {\n", "	if err := r.cfg.Queue.Send(ctx, e, \"\"); err != nil && false {\n"),

		// Limits, and what the consumer makes of them.
		{name: "five receives, 180 s apart", edits: []edit{
			{limit, "MaxReceives:     16,", "MaxReceives:     5,"},
			{limit, "	return min(d, l.BackoffCap)\n", "	return min(d, l.BackoffCap, l.Visibility)*0 + l.Visibility\n"},
		}, test: "TestStoreOutage"},
		one("back-off of half an hour at most", limit, "BackoffCap:      t(time.Hour),", "BackoffCap:      t(30 * time.Minute),").by("TestStoreOutage"),
		one("an outage sets no visibility", batch, "	if !r.ack {\n		b.setVisibility", "	if !r.ack && !r.storeDown {\n		b.setVisibility").by("TestStoreOutage"),
		one("lease shorter than the handler", life, "b.deadline.Add(l.LeaseSlack)", "now.Add(l.MinDelay)").by("TestOneAttemptAtATime"),
		one("leases are over before their end", life, "now.Add(-l.TakeOverMargin)", "now.Add(l.ConsumerTimeout)").by("TestOneAttemptAtATime"),
		one("the last receive counts as one before it", life, "max(0, b.c.cfg.Limits.MaxReceives-m.Receives)", "max(0, b.c.cfg.Limits.MaxReceives-m.Receives+1)").by("TestDeadLettersBreedNoCopies"),
		one("a parked event has receives left", fails, "f.Reason, f.ReceivesLeft = permanent.Reason, 0", "f.Reason = permanent.Reason").by("TestDeadLettersBreedNoCopies"),
		{name: "dead letters for a day", edits: []edit{
			{limit, "DLQRetention:    t(14 * day),", "DLQRetention:    t(day),"},
			{"limits/validate.go", "f.must(l.DLQRetention > l.SourceRetention &&", "f.must(l.DLQRetention > 0 &&"},
		}},
	}
}
