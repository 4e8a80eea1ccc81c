package simulation

// deliveryMutants are seeded bugs in sending to destinations. The worlds of the sender find them,
// or the tests that have the rule.
func deliveryMutants() []mutant {
	const (
		attempt = "delivery/attempt.go"
		sender  = "delivery/sender.go"
		result  = "delivery/result.go"
		state   = "delivery/state.go"
		router  = "delivery/router.go"
		rows    = "dynamostore/delivery.go"
	)
	world := func(name, file, old, new string) mutant {
		return one("sending: "+name, file, old, new).by("TestWorlds").in("simulation/sending")
	}
	test := func(test, name, file, old, new string) mutant {
		return one("sending: "+name, file, old, new).by(test).in("delivery")
	}
	return append([]mutant{
		// The lease.
		world("an attempt begins under another's lease", rows, "(st=:begin AND lease < :cutoff)", "(st=:begin AND (lease < :cutoff OR lease >= :cutoff))"),
		world("a take-over without the margin", attempt, "Cutoff: now.Add(-lim.TakeOverMargin)", "Cutoff: now"),
		world("a lease that is shorter than the attempt", attempt, "Lease: now.Add(l.Timeout + lim.Sender.Slack)", "Lease: now.Add(l.Timeout - 2*lim.Sender.Slack)"),
		world("a paused sender sends after its lease", attempt, "if begin.Add(l.Timeout).After(s.Lease) {", "if begin.Add(l.Timeout).After(s.Lease) && s.Attempt < 0 {"),
		world("a delivered message is begun again", rows, `"(attribute_not_exists(pk) OR `, `"(attribute_not_exists(pk) OR attribute_exists(hist) OR `),
		world("an attempt begins before its back-off is over", rows, "#next <= :now)", "(#next <= :now OR #next > :now))"),
		world("an overtaken attempt ends another's", rows, `"st=:begin AND att=:att AND own=:own"`, `"(st=:begin OR st=:end) AND (att=:att OR att<>:att) AND (own=:own OR own<>:own)"`),
		world("an end keeps the lease", rows, `deliveryGone = " REMOVE lease"`, `deliveryGone = " REMOVE gone"`),
		world("a number changes with each attempt", rows, "seq=if_not_exists(seq,:seq)", "seq=:seq"),
		world("an id changes with each attempt", attempt, "	r.attempt, d.Attempt, d.Sequence = ", "	d.ID = ID(msg.Key + begun.Started.Owner)\n	r.attempt, d.Attempt, d.Sequence = "),

		// Who is acknowledged.
		world("a busy job is acknowledged", attempt, "return r.back(outcomeBusy, begun.Busy.Sub(now), nil)", "return r.done(outcomeBusy)"),
		world("an overtaken attempt acknowledges its job", attempt, "return r.back(outcomeSuperseded, lease, r.err)", "return r.done(outcomeSuperseded)"),
		world("a retry is acknowledged", attempt, "return r.back(outcomeRetry, end.Next.Sub(end.Now), r.err)", "return r.done(outcomeRetry)"),
		world("an unknown end is acknowledged", attempt, "return r.back(outcomeUnknown, lease, err)", "return r.done(outcomeUnknown)"),
		world("a job without a store is acknowledged", attempt, "		return r.back(outcomeStoreDown, b.wait(m), err), true\n	}\n	switch {", "		return r.done(outcomeStoreDown), true\n	}\n	switch {"),
		world("a job that waits for the breaker is acknowledged", attempt, "return r.back(outcomeOpen, state.Open.Sub(now)+b.wait(m), nil), true", "return r.done(outcomeOpen), true"),
		world("a job without time is acknowledged", attempt, "	if l.enter(ctx) != nil {\n		return r.back(outcomeNoTime, b.cfg.Limits.NoTimeDelay, nil)", "	if l.enter(ctx) != nil {\n		return r.done(outcomeNoTime)"),
		world("a job whose copy is not stored is acknowledged", result, "		return r.back(outcomeNoCopy, b.wait(m), err)\n", "		return r.done(outcomeDead)\n"),
		world("a failed delivery is taken for a delivered one", attempt, "case begun.Over == Delivered:", "case begun.Over != \"\":"),
		world("a final answer leaves no copy", attempt, "	return b.deadLetter(m, r)\n}\n\n// next is", "	return r.done(outcomeDead)\n}\n\n// next is"),
		world("retries never end", attempt, "case now.Sub(s.First) >= b.cfg.Limits.Sender.MaxAge:", "case now.Sub(s.First) >= 100*b.cfg.Limits.Sender.MaxAge:"),
		world("a disabled destination is sent to", attempt, "	case !state.Off.IsZero():\n", "	case !state.Off.IsZero() && r.attempt > 0:\n"),
		world("a group's refusal is not reported", router, `				return fmt.Errorf("enqueue jobs of group %s: %w", group, err)`, `				_ = fmt.Errorf("enqueue jobs of group %s: %w", group, err)`),
		world("a message is marked before it is handed over", "outbox/handover.go", "	if err := send(ctx, sender, requested(e)); err != nil {", "	_ = marks.MarkSent(ctx, e.Key, time.Now())\n	if err := send(ctx, sender, requested(e)); err != nil {"),
		world("the sweep marks what it could not hand over", "outbox/drain.go", "		r.warn(ctx, \"send outbox message failed\", m, err)\n		return false, false\n", "		r.warn(ctx, \"send outbox message failed\", m, err)\n"),
		world("one destination gets a job", router, "bodies[d.Group] = append(bodies[d.Group], Job{m.Key, d.Name}.Encode())", "bodies[d.Group] = []string{Job{m.Key, d.Name}.Encode()}"),

		// The destination's state.
		test("TestBreaker", "every job probes", attempt, "return r.back(outcomeOpen, b.wait(m), nil), !won", "return r.back(outcomeOpen, b.wait(m), nil), !won && err != nil"),
		test("TestBreaker", "the breaker opens at the first failures", state, "now.Sub(s.Since) >= l.BreakerAfter", "now.Sub(s.Since) >= 0"),
		test("TestBreaker", "the breaker never opens", state, "failures >= l.BreakerFailures &&", "failures >= 100*l.BreakerFailures &&"),
		test("TestBreaker", "the breaker never closes", state, "s.Since, s.Seen, s.Open = time.Time{}, time.Time{}, time.Time{}", "s.Since, s.Seen = time.Time{}, time.Time{}"),
		test("TestBreaker", "a job waits for hours while the breaker is open", sender, "b.cfg.Limits.Sender.WaitCap))", "b.cfg.Limits.Sender.BackoffCap))"),
		test("TestBreakerStaysClosed", "a refused message opens the breaker", state, "l.failures++; v != Retry {", "l.failures++; v == Done {"),
		test("TestStateIsWrittenOnChange", "every failure writes the state", state, "case quiet > l.FailureGap/4:", "case quiet >= 0:"),
		test("TestDisabledAfterDaysOfFailures", "failures that are days apart disable", state, "s.Since.IsZero() || quiet > l.FailureGap:", "s.Since.IsZero():"),
		test("TestDisabledAfterDaysOfFailures", "failures never disable", state, "case now.Sub(s.Since) >= l.DisableAfter:", "case now.Sub(s.Since) >= 9*l.DisableAfter:"),
		test("TestDisablingIsNotLost", "disabling is lost to another write", attempt, "		case won:\n			return\n", "		default:\n			return\n"),
		test("TestFinalAnswers", "410 disables nothing", state, "case a.Verdict == Disable:", "case a.Verdict == Disable && a.Status == 0:"),
		test("TestDisabledDestination", "the state is cached until the process ends", state, "age >= 0 && age < ttl {", "age >= 0 {"),

		// Attempts.
		test("TestBackoff", "back-off doubles", "limits/sender.go", "d *= 3", "d *= 2"),
		test("TestBackoff", "the last attempt is long after three days", attempt, "next.After(last) {", "next.After(last) && s.Attempt < 0 {"),
		test("TestRetryAfter", "Retry-After is ignored", attempt, "asked.After(next) {", "asked.After(next) && a.Status == 0 {"),
		test("TestRetryAfter", "Retry-After is not bounded", attempt, "now.Add(min(a.RetryAfter, lim.BackoffCap))", "now.Add(a.RetryAfter)"),
		test("TestPausedSender", "a pause counts as the receiver's failure", attempt, "	if sent && (", "	if (sent || !sent) && ("),
		test("TestConcurrencyAndRate", "concurrency is not bounded", state, "make(chan struct{}, d.Concurrency)", "make(chan struct{}, 100)"),
		test("TestConcurrencyAndRate", "the rate is not bounded", state, "rate.NewLimiter(rate.Limit(d.Rate), d.Concurrency)", "rate.NewLimiter(rate.Inf, d.Concurrency)"),
		test("TestBatch", "a panic of a target ends the process", attempt, "if v := recover(); v != nil {", "if v := any(nil); v != nil {"),
		test("TestWholeEvents", "an event that is gone is fetched again and again", attempt, "		case failed.Verdict == Stop, ", "		case "),
		test("TestFetchFailsForDays", "an event is fetched until the queue drops the job", attempt, "failed.Verdict == Retry && old:", "failed.Verdict == Done && old:"),
		test("TestChangedConfiguration", "a job goes to a receiver that excludes it", attempt, "	if !l.TakesFrom(msg.Live(), d.Account) {", "	if !l.TakesFrom(msg.Live(), d.Account) && r.attempt > 0 {"),
		test("TestJobsThatCannotBeSent", "a deploy makes dead letters of a new destination's jobs", attempt, "	if m.Receives <= deployReceives {", "	if m.Receives < 0 {"),
		test("TestRefusalsCloseTheBreaker", "refusals keep the breaker open", state, "	if a.Verdict == Stop { // a", "	if a.Verdict == Done { // a"),
		test("TestOwnRefusals", "mails without a template disable mail", attempt, "(answer.Verdict != Stop || answer.Status > 0)", "(answer.Verdict != Stop || answer.Status >= 0)"),
		test("TestRouter", "a message without a mode is taken for one of test mode", router, "if !wellFormed(m.Key) {", "if m.Key == \"\" {"),
		test("TestWholeEvents", "a thin body goes out without the event", attempt, "d.Event != nil && l.Whole {", "d.Event != nil && l.Whole && r.attempt > 0 {"),
		test("TestLines", "the whole error text is kept", attempt, "	answer.Err = limits.Cut(answer.Err, MaxErr)\n", ""),
	}, deliveryRowMutants()...)
}

// deliveryRowMutants are seeded bugs in the rows and in the configuration.
func deliveryRowMutants() []mutant {
	const (
		types   = "delivery/types.go"
		rows    = "dynamostore/delivery.go"
		states  = "dynamostore/delivery_state.go"
		parse   = "destination/parse.go"
		targets = "destination/targets.go"
		match   = "destination/destination.go"
	)
	row := func(name, file, old, new string) mutant {
		return one("rows: "+name, file, old, new).by("TestStore").in("simulation/sending")
	}
	config := func(test, name, file, old, new string) mutant {
		return one("destinations: "+name, file, old, new).by(test).in("destination")
	}
	return []mutant{
		row("an attempt does not recognise its own begin", types, "case r.Status == Running && r.Owner == req.Owner:", "case r.Status == Running && r.Owner == req.Owner && r.Attempt < 0:"),
		row("an attempt does not recognise its own end", rows, "old.Status != delivery.Running && old.Owner == s.Owner", "old.Status == delivery.Running && old.Owner == s.Owner"),
		row("the history has no bound", types, "all[max(0, len(all)-MaxHistory):]", "all[max(0, len(all)-99):]"),
		row("two objects share numbers", rows, `limits.KeySequence + req.Job.Destination + "#" + req.Object`, `limits.KeySequence + req.Job.Destination + "#" + req.Object[5:]`),
		row("a delivery without a number is begun", rows, `deliveryNumbered = " AND attribute_exists(seq)"`, `deliveryNumbered = " "`),
		row("a redrive keeps the age", states, "#next=:now, #first=:now", "#next=:now, #first=if_not_exists(#first,:now)"),
		row("a redrive takes any delivery", states, `reopenWhen = "st=:retry OR `, `reopenWhen = "attribute_exists(pk) OR st=:retry OR `),
		row("a delivery that waited is late after a redrive", states, `reopenWhen = "st=:retry OR `, `reopenWhen = "`),
		row("a redrive makes a row", states, `reopenWhen = "st=:retry OR `, `reopenWhen = "attribute_not_exists(pk) OR st=:retry OR `),
		row("a state is swapped whatever its version", states, `stateSwap  = "ver=:was"`, `stateSwap  = "ver=:was OR attribute_exists(pk)"`),
		row("the first state replaces another", states, `stateFirst = "attribute_not_exists(pk)"`, `stateFirst = "attribute_not_exists(never)"`),
		row("a writer does not recognise its own state", states, "old.Ver == next.Ver+1 && old.By == next.By", "old.Ver == next.Ver+1 && old.By != next.By"),

		config("TestFaults", "a private address needs no allow", targets, "Local: c.place == Local});", "Local: true});"),
		config("TestFaults", "any network may be allowed", targets, "case !egress.MayAllow(p, c.place == Local) ||", "case c.name == \"\" && !egress.MayAllow(p, c.place == Local) ||"),
		config("TestFaults", "the metadata address may be allowed", targets, "|| p.Overlaps(netip.MustParsePrefix(metadata)):", "|| c.name == \"\" && p.Overlaps(netip.MustParsePrefix(metadata)):"),
		config("TestFaults", "http on AWS", targets, "if d.InsecureHTTP && c.place != Local {", "if d.InsecureHTTP && c.place == \"\" {"),
		config("TestFaults", "a scheme's header may be set", targets, "[]string{\"webhook-\", ", "[]string{"),
		config("TestFaults", "a secret in the configuration", targets, `strings.HasPrefix(d.Secret, "whsec_") ||`, `strings.HasPrefix(d.Secret, "whsek_") ||`),
		config("TestFaults", "an unknown member is ignored", parse, "	dec.DisallowUnknownFields()\n", ""),
		config("TestFaults", "the last of two members counts", parse, "if seen[name] {", "if seen[name] && depth > 9 {"),
		config("TestFaults", "a group has two limits", parse, "d.Rate != f.Rate || d.Concurrency", "d.Concurrency"),
		config("TestFaults", "a timeout is longer than a lease", parse, "t < minTimeout || t > MaxTimeout", "t < minTimeout || t > 9*MaxTimeout"),
		config("TestMatching", "a destination takes both modes", match, "(d.Livemode == nil || slices.Contains(d.Livemode, live))", "(d.Livemode != nil || slices.Contains([]bool{true, false}, live))"),
		config("TestMatching", "a destination takes all accounts", match, "(d.Accounts == nil || slices.Contains(d.Accounts, account))", "(d.Accounts == nil || slices.Contains(d.Accounts, account) || account != \"\")"),
		config("TestMatching", "a name is taken for a prefix", match, "|| pattern == name", "|| strings.HasPrefix(name, pattern)"),
		config("TestMatching", "messages match the patterns of events", match, "patterns, message = d.Events, eventType", "patterns, message = append(d.Events, d.Messages...), eventType"),
		config("TestParse", "mail goes out for test objects", parse, "} else if d.Type == Email {", "} else if d.Type == \"\" {"),
	}
}
