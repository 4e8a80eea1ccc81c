package simulation

import "slices"

// ruleMutants are seeded bugs in policies of several endpoints, purges, clocks, malformed rows,
// history and two releases. A1, A14 and the like are their numbers in the model of policies and
// purges.
func ruleMutants() []mutant {
	return slices.Concat(policyMutants(), accountMutants(), purgeMutants(), outsideMutants(), busMutants(), historyMutants())
}

func policyMutants() []mutant {
	const (
		message  = "consumer/message.go"
		failure  = "consumer/failure.go"
		verdict  = "policy/policy.go"
		excluded = "reconcile/policy.go"
		pass     = "reconcile/pass.go"

		asked = "v := b.c.cfg.Policies[env.Endpoint].Judge(env); v.Action != policy.Accept {"
		open  = "	if err := a.open(ctx); err != nil {\n		return \"\", nil, err\n	}\n	effects, err := a.handle(ctx)\n"
		later = "	v := a.c.cfg.Policies[a.env.Endpoint].Judge(a.env)\n"
	)
	return []mutant{
		{name: "A1: an ignoring policy is asked after the claim", edits: []edit{
			{message, asked, "v := b.c.cfg.Policies[env.Endpoint].Judge(env); v.Action == policy.Park {"},
			{message, open, later + "	if v.Action == policy.Ignore {\n		return idempotency.Ignored, nil, nil\n	}\n" + open},
		}},
		{name: "A2: a parking policy is asked after the claim", edits: []edit{
			{message, asked, "v := b.c.cfg.Policies[env.Endpoint].Judge(env); v.Action == policy.Ignore {"},
			{message, open, later + "	if v.Action == policy.Park {\n		return \"\", nil, dispatch.Park(v.Reason, errors.New(v.Text))\n	}\n" + open},
		}},
		one("A3: the record remembers an exclusion", failure, "	return b.deadLetterUnclaimed(m, env, v.Reason, errors.New(v.Text))\n", "	if got, err := b.c.cfg.Store.Claim(b.ctx, b.request(m, env)); err == nil && got.Claim != nil {\n		_, _ = b.c.cfg.Store.Fail(b.ctx, got.Claim, idempotency.Failure{Now: b.c.cfg.Now(), Reason: v.Reason})\n	}\n	return b.deadLetterUnclaimed(m, env, v.Reason, errors.New(v.Text))\n"),
		{name: "A4: reconcile sends what the endpoint ignores", edits: []edit{
			{excluded, "v.Action != policy.Accept {", "v.Action == policy.Park {"}, {excluded, "v.Action != policy.Accept:", "v.Action == policy.Park:"},
		}},
		{name: "A5: reconcile sends what the endpoint parks", edits: []edit{
			{excluded, "v.Action != policy.Accept {", "v.Action == policy.Ignore {"}, {excluded, "v.Action != policy.Accept:", "v.Action == policy.Ignore:"},
		}},
		one("A6: the policy is asked at the first receive only", message, "if b.c.cfg.Handlers.Handles(env) {", "if m.Receives == 1 && b.c.cfg.Handlers.Handles(env) {"),
		one("A7: a parked message is acknowledged before its copy", failure, "	return b.deadLetterUnclaimed(m, env, v.Reason, errors.New(v.Text))\n", "	_ = b.c.cfg.Queue.Delete(b.ctx, []string{m.Receipt})\n	return b.deadLetterUnclaimed(m, env, v.Reason, errors.New(v.Text))\n"),
		one("A8: another endpoint's policy", message, asked, "v := b.c.cfg.Policies[\"connect-eu\"].Judge(env); v.Action != policy.Accept {"),
		one("a parked message is acknowledged without a copy", failure, "	return b.deadLetterUnclaimed(m, env, v.Reason, errors.New(v.Text))\n", "	return result{env: env, outcome: outcomePolicyIgnored, reason: v.Reason, ack: true}\n"),
		one("another mode of a connected account is parked", verdict, `if v.Action == "" && e.Account != "" {`, `if v.Action == "" && e.Account == "" {`),
		one("another account is ignored", verdict, "	if v.Action == \"\" {\n		v.Action = Park\n", "	if v.Action == \"\" {\n		v.Action = Ignore\n"),
		one("the action of a policy is not read", verdict, "Verdict{Reason: ReasonAccount, Action: p.OnMismatch,\n			Text: fmt.Sprintf(\"endpoint %q does not take events of", "Verdict{Reason: ReasonAccount, Action: Park,\n			Text: fmt.Sprintf(\"endpoint %q does not take events of"),
		one("a policy's from binds the consumer", verdict, "	return Verdict{Action: Accept}\n", "	if time.Unix(e.Created, 0).Before(p.From) {\n		return Verdict{Action: Ignore}\n	}\n	return Verdict{Action: Accept}\n"),
		{name: "reconcile does not read a policy's from", edits: []edit{
			{pass, "scheduled && from.After(begin) {", "scheduled && from.After(begin) && p.dry {"},
			{excluded, "	case time.Unix(e.Created, 0).Before(of.From):", "	case p.dry && time.Unix(e.Created, 0).Before(of.From):"},
		}},
	}
}

// accountMutants are seeded bugs in whose an event is.
func accountMutants() []mutant {
	const (
		parse    = "event/parse.go"
		codec    = "queue/codec.go"
		identity = "idempotency/identity.go"
		claim    = "dynamostore/claim.go"
		rule     = "reconcile/rule.go"
		pass     = "reconcile/pass.go"
		verdict  = "policy/policy.go"
		named    = `return Identities{named, identityAs(e, "")}`
	)
	return []mutant{
		one("context is not read", parse, `if e.Account == "" && context != "" {`, `if e.Account == "" && context == "-" {`),
		one("context is the account as it is", "event/event.go", "		return last\n	}\n	return context\n", "		return context\n	}\n	return context\n"),
		one("an older release's message is the platform's", codec, "		readContext(&e)\n", ""),
		one("an event of an organisation has one identity", identity, named, "return Identities{named, named}"),
		one("a claim takes one identity", claim, "ident IN (:ident,:ident2)", "ident=:ident AND (ident=:ident OR attribute_exists(pk) OR ident=:ident2)"),
		one("reconcile takes one identity", rule, "!idempotency.IdentitiesOf(e).Has(rec.Identity)", "rec.Identity != idempotency.Identity(e)"),
		one("a connected account's event may be the platform's", identity, "return Identities{named, named}", named).by("TestPlatformListedByItsID"),
		one("an account that cannot be told is one", verdict, "	case e.AccountUnknown():\n", "	case e.AccountUnknown() && e.Endpoint == \"\":\n"),
		one("reconcile finds a mismatch in every event of an organisation alone", pass, "named := e.AccountFrom == event.FromContext && (account == \"\" || e.AccountUnknown())", "named := e.AccountFrom == event.FromContext && account == \"\""),
	}
}

func purgeMutants() []mutant {
	const (
		purge    = "redrive/purge.go"
		operator = "dynamostore/operator.go"
		claim    = "dynamostore/claim.go"
		fail     = "dynamostore/fail.go"
		commit   = "dynamostore/complete.go"
		rule     = "reconcile/rule.go"

		mark     = `purgeSet     = "SET purged=:now, purge_by=:who, upd=:now, exp=:exp"`
		complete = `purgeSet     = "SET st=:done, done_at=:now, outcome=:done, purged=:now, purge_by=:who, upd=:now, exp=:exp REMOVE lease, rc_left"`
		values   = `":now": millis(req.Now), ":cutoff": millis(req.LeaseExpiredBefore), ":who": str(bounded(req.By)),`
		dead     = `purgeDead    = " AND rc_left=:zero"`
		attempt  = `purgeAttempt = " AND att=:att"`
	)
	completes := []edit{{operator, mark, complete}, {operator, values, values + "\n		\":done\": str(string(idempotency.Done)),"}}
	also := func(more ...edit) []edit { return append(append([]edit(nil), completes...), more...) }
	return []mutant{
		one("A11: a purge deletes its dead letter only", purge, "	verdict, err := r.Store.Purge(", "	if d.Cause.Attempt > 0 {\n		return idempotency.PurgeMarked, nil\n	}\n	verdict, err := r.Store.Purge("),
		{name: "A12: a purge completes the event, whatever waits", edits: also(
			edit{operator, dead, `purgeDead    = " AND rc_left>=:zero"`}, edit{operator, attempt, `purgeAttempt = " AND att>=:att"`})},
		{name: "A14: a purge completes the event", edits: completes},
		{name: "A16: a purge completes the event by any dead letter of it", edits: also(edit{operator, attempt, `purgeAttempt = " AND att>=:att"`})},
		one("A17: purged while receives are left", operator, dead, `purgeDead    = " AND rc_left>=:zero"`),
		one("A18: purged in any state", operator, `purgeWhen    = "(st=:failed OR (st=:running AND lease < :cutoff)) AND ident IN (:ident,:ident2)"`, `purgeWhen    = "(st=:failed OR st=:running OR lease < :cutoff) AND ident IN (:ident,:ident2)"`),
		one("a dead letter of an earlier attempt purges the event", operator, attempt, `purgeAttempt = " AND att>=:att"`),
		one("A19: a claim keeps the mark", claim, `claimRemove = " REMOVE exp, reason, purged, purge_by"`, `claimRemove = " REMOVE exp, reason"`),
		one("a completion keeps the mark", commit, `" REMOVE lease, #open, rc_left, reason, hist, purged, purge_by"`, `" REMOVE lease, #open, rc_left, reason, hist"`),
		one("A20: no purge after a permanent failure", operator, dead, `purgeDead    = " AND rc_left=:zero AND attribute_not_exists(reason)"`),
		one("A23: a late failure removes the mark", fail, `failRemove = " REMOVE lease"`, `failRemove = " REMOVE lease, purged, purge_by"`),
		one("A24: a moved dead letter of an excluding endpoint purges the event", purge, "case moved && r.Excludes(d.Event):", "case moved && r.Excludes(d.Event) && r.Operator == \"\":").by("TestPurgeOfMovedDeadLetters"),
		one("a parked dead letter purges the event", purge, "	case d.refusedBeforeRecord():\n", "	case d.refusedBeforeRecord() && r.Operator == \"\":\n"),
		one("a purge deletes its dead letter before it asks", purge, "	answers, errs := make([]answer, len(planned)), make([]error, len(planned))\n", "	for _, m := range planned {\n		_, _ = r.remove(ctx, f, []queue.Message{m.Message})\n	}\n	answers, errs := make([]answer, len(planned)), make([]error, len(planned))\n"),
		one("a purge deletes the dead letter of a running attempt", purge, "[]answer{answerUnknown, answerNoPolicy, answerUnread, idempotency.PurgeBusy}", "[]answer{answerUnknown, answerNoPolicy, answerUnread}").by("TestPurgeOfMovedDeadLetters"),
		one("reconcile sends a purged event", rule, "s.Name == idempotency.StatusPurged:", "s.Name == idempotency.StatusPurged && !r.sweep:"),
		one("the frequent passes send a purged event", rule, "s.Name == idempotency.StatusPurged:\n", "s.Name == idempotency.StatusPurged && r.sweep:\n		return known\n	case s.Name == idempotency.StatusPurged && r.now.Sub(rec.Updated) > r.limits.Reconcile.StuckAge:\n		return stuck\n	case s.Name == idempotency.StatusPurged:\n").by("TestPurgeByID"),
	}
}

func outsideMutants() []mutant {
	const (
		current  = "dispatch/current.go"
		coalesce = "dispatch/coalesce.go"
		claim    = "dynamostore/claim.go"
		fail     = "dynamostore/fail.go"
		law      = "idempotency/writes.go"
		records  = "dynamostore/reader.go"
		begin    = "reconcile/begin.go"
		pass     = "reconcile/pass.go"
		catchup  = "reconcile/catchup.go"
		message  = "consumer/message.go"
		failure  = "consumer/failure.go"
		missed   = "consumer/missed.go"
		mail     = "dispatch/message.go"
		drain    = "outbox/drain.go"
		store    = "dynamostore/outbox.go"
		effects  = "dynamostore/effects.go"
		codec    = "queue/codec.go"
		rest     = "redrive/hidden.go"
		writer   = "registration/secrets.go"
	)
	return []mutant{
		// One clock for a comparison.
		one("coalesce by the consumer's clock", coalesce, "	if in.FirstReceived.After(in.SentAt) {\n		return in.FirstReceived\n	}\n	return in.SentAt\n", "	return in.Now\n"),
		one("coalesce without a margin", coalesce, "const CoalesceAfter = 5 * time.Second", "const CoalesceAfter = time.Millisecond").by("TestBurstFromALaggingCopy"),
		one("coalesce by the time of the event", coalesce, "Before(in.SentAt.Add(CoalesceAfter))", "Before(time.Unix(in.Created, 0))"),

		// Malformed rows.
		one("a broken row is taken for a store that is down", claim, "			result, explained := idempotency.ReadClaimRefusal(req, old)\n", "			if old != nil && old.Check() != nil {\n				return idempotency.ClaimResult{}, storeDown(\"claim\", old.Broken)\n			}\n			result, explained := idempotency.ReadClaimRefusal(req, old)\n"),
		one("a row broken meanwhile is taken for a store that is down", fail, "	return idempotency.ReadFailRefusal(c, old), nil\n", "	if old != nil && old.Check() != nil {\n		return idempotency.FailResult{}, storeDown(\"fail\", old.Broken)\n	}\n	return idempotency.ReadFailRefusal(c, old), nil\n"),
		one("a broken row is read as done", law, "	case old.Check() != nil:\n		return ClaimResult{Verdict: Corrupt, Err: old.Check()}, true\n", ""),
		one("a broken row ends a pass", records, "			if record := decodeRow(attributes); record != nil {\n", "			if record := decodeRow(attributes); record != nil && record.Broken != \"\" {\n				return errors.New(record.Broken)\n			} else if record != nil {\n"),

		// History.
		one("the begin of history is not kept to", pass, "	begin, scheduled := p.since[account]\n", "	begin, scheduled := p.since[account]\n	begin = time.Time{}\n"),
		one("history begins with the upgrade", begin, "		if !noted {\n			at = p.started\n", "		if !noted || at.Before(p.started) {\n			at = p.started\n"),
		one("history begins 29 days ago", begin, "			at = p.started\n", "			at = p.started.Add(-p.cfg.Limits.Reconcile.Weekly.Span)\n"),
		one("left slices are caught up from before the begin", catchup, "t.left(p.started, p.oldest(a), notes", "t.left(p.started, time.Time{}, notes"),

		// Mail about old states.
		one("mail is held by its age when the event is handled", mail, "in.ReceivedAt.Sub(since) > h.After", "in.Now.Sub(since) > h.After"),
		one("mail is held by the age of its event", mail, "in.ReceivedAt.Sub(since) > h.After", "in.ReceivedAt.Sub(time.Unix(in.Created, 0)) > h.After"),
		one("mail from before the begin is sent", mail, "if known && since.Before(begin) {", "if known && since.Before(begin) && h.After == 0 {"),

		one("mail from before a restore's end is sent", mail, "if since.Before(h.Before) {", "if since.Before(h.Before) && h.Begins == nil {"),
		one("a restore's end holds by the time of handling", mail, "if since.Before(h.Before) {", "if in.Now.Before(h.Before) {"),
		one("a message that waited in a restored table is sent", drain, "if m.Queued.Before(r.o.HoldBefore) {", "if m.Since.After(r.o.HoldBefore) && false {").by("TestHoldBefore").in("outbox"),
		one("a message that cannot be held is sent", drain, "		r.warn(ctx, \"hold outbox message failed\", m, err)\n		return false, false\n", "		return false, send(ctx, r.sender, m) == nil\n").by("TestHoldBefore").in("outbox"),
		one("a released message is held again", store, "AND (attribute_not_exists(queued_at) OR queued_at<:before)", "AND (attribute_not_exists(queued_at) OR queued_at<>:before)").by("TestOutboxHold").in("dynamostore"),
		one("a sent message is held", store, "holdWhen = \"lst=:out AND (", "holdWhen = \"(attribute_exists(pk) OR lst=:out) AND (").by("TestOutboxHold").in("dynamostore"),
		one("the outbox task does not know the restore's end", "run/reconcile.go", "HoldBefore: cfg.HoldBefore, Holder: store", "Holder: store").by("TestOutboxKnowsTheRestoresEnd").in("run"),

		// What the table may forget.
		one("a message expires though it is not sent", effects, "strings.HasPrefix(e.Key, limits.KeyFact) {", "strings.HasPrefix(e.Key, limits.KeyFact[:0]) {").by("TestRetention").in("dynamostore"),
		one("a row expires", effects, "s.kept.Facts > 0 && e.Kind == dispatch.KindInsert && strings.HasPrefix(e.Key, limits.KeyFact) {", "s.kept.Facts > 0 && (strings.HasPrefix(e.Key, limits.KeyFact) || e.Kind == dispatch.KindSwap) {").by("TestRetention").in("dynamostore"),
		one("facts expire with the sent messages", effects, "now.Add(s.kept.Facts)", "now.Add(s.kept.Sent)").by("TestRetention").in("dynamostore"),
		one("a sent message expires at once", store, "num(at.Add(s.kept.Sent).Unix())", "num(at.Unix())").by("TestRetention").in("dynamostore"),
		one("a fact may be forgotten early", "limits/retention.go", "if v.kept != 0 && v.kept < v.least {", "if v.kept < 0 {").by("TestShortRetentionIsRefused").in("dynamostore"),
		one("the consumer does not know the retention", "run/consumer.go", "Retention: cfg.Retention}", "}").by("TestRetentionReachesTheTable").in("run/runsender"),
		one("the outbox task does not know the retention", "run/reconcile.go", "Retention: cfg.Retention}", "}").by("TestRetentionReachesTheTable").in("run/runsender"),

		// Two releases.
		one("a newer message is dead at first sight", failure, "	if b.receivesLeft(m) == 0 {\n		return b.deadLetterUnclaimed(m, env, dispatch.ReasonNewerVersion, err)", "	if b.receivesLeft(m) >= 0 {\n		return b.deadLetterUnclaimed(m, env, dispatch.ReasonNewerVersion, err)"),
		one("a newer message is acknowledged", failure, "outcome: outcomeNewer, delay:", "outcome: outcomeNewer, ack: true, delay:"),
		one("a newer message comes back at once", failure, "outcome: outcomeNewer, delay: b.c.cfg.Limits.BackoffCap,", "outcome: outcomeNewer, delay: b.c.cfg.Limits.MinDelay,"),
		one("a message of an unknown source is undecodable", codec, "	if src := headerText(m[memberSource]); src != \"\" &&", "	if src := headerText(m[memberSource]); src == \"\" &&"),

		// What is counted.
		one("dead letters that another reader hides are not counted", rest, "unseen := max(0, visible+hidden-s.messages)", "unseen := max(0, visible+0*hidden-s.messages)"),
		one("hidden dead letters are counted as seen", rest, "	n := min(max(0, hidden-s.unreleased), unseen)\n", "	n := min(max(0, hidden-s.unreleased-s.messages), unseen)\n"),
		one("what reconcile sends counts as missed", message, "			r.ack, r.delay = a.c.watchForWebhook(a.m)\n", "			return a.result(outcomeMissed, r), false\n").by("TestStoppedConsumerIsNoMissedDelivery"),
		one("a delivery leaves no note", claim, "				return result, s.noteDelivery(ctx, req, result)\n", "				return result, nil\n").by("TestStoppedConsumerIsNoMissedDelivery"),
		one("nothing counts as missed", missed, "	r.outcome = outcomeMissed\n", "").by("TestMissedDeliveriesAreCounted"),

		// The webhook secret.
		one("a writer of the secret replaces any version", writer, "		if err = v.Replace(ctx, base.ID, value); err == nil {\n", "		now, err := v.Current(ctx)\n		if err != nil {\n			return false, err\n		}\n		if err = v.Replace(ctx, now.ID, value); err == nil {\n").by("TestSecretWriters"),
		one("a write of the secret without an answer counts as made", writer, "				return false, err\n			}\n		}\n", "				return err != nil, nil\n			}\n		}\n").by("TestSecretWriters"),
	}
}
