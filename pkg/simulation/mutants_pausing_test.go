package simulation

// pausingMutants are seeded bugs in pausing and resuming.
func pausingMutants() []mutant {
	const (
		message = "consumer/message.go"
		failure = "consumer/failure.go"
		cache   = "pause/cache.go"
		state   = "pause/pause.go"
		resume  = "pause/resume.go"
		pass    = "reconcile/pass.go"
		asked   = "	if r, stop := b.held(m, env); stop {\n		return r\n	}\n"
	)
	return []mutant{
		// The consumer.
		one("ack before the copy is held", failure, "		if err = b.c.cfg.Pause.Hold(ctx, m); err == nil {", "		_ = b.c.cfg.Queue.Delete(ctx, []string{m.Receipt})\n		if err = b.c.cfg.Pause.Hold(ctx, m); err == nil {"),
		one("ack though no copy is held", failure, "r.env, r.infra = env, !errors.Is(err, queue.ErrRefused)", "r.env, r.ack = env, true"),
		{name: "pause before the policy", edits: []edit{
			{message, asked, ""}, {message, "	if b.c.cfg.Handlers.Handles(env) {\n", asked + "	if b.c.cfg.Handlers.Handles(env) {\n"},
		}},
		{name: "pause after the claim", edits: []edit{
			{message, asked, ""}, {message, "		a := &attempt{batch: b, m: m, env: env, claim: claimed.Claim}\n", "		if r, stop := b.held(m, env); stop {\n			return r\n		}\n		a := &attempt{batch: b, m: m, env: env, claim: claimed.Claim}\n"},
		}},
		one("a held message burns its receives", failure, "outcome: outcomeHeld, ack: true}", "outcome: outcomeHeld, delay: b.c.cfg.Limits.BackoffCap}").by("TestPaused").in("consumer"),
		one("a held copy has no group", "sqsqueue/consumer.go", "MessageBody: &m.Body}\n	if m.Group != \"\" {", "MessageBody: &m.Body}\n	if m.Group == \"-\" {").by("TestConsumerHold").in("sqsqueue"),

		// The cache.
		one("pauses are cached without end", cache, "now.Before(c.next) && !now.Before(c.at):", "!now.Before(c.at):"),
		one("pauses that are not read serve without end", cache, "now.Before(c.at) || now.Sub(c.at) >= c.limits.PauseStale:", "now.Before(c.at):").by("TestCache").in("pause"),
		one("pauses serve longer than they are stale", cache, "		c.next = stale\n", "		_ = stale\n").by("TestCacheIsNeverStale").in("pause"),
		one("damaged pauses pause nothing", cache, "c.known, c.at = answer{err: err}, now", "c.known, c.at = answer{}, now").by("TestCache").in("pause"),
		one("every message reads the pauses", cache, "	case f != nil:", "	case f != nil && c.now == nil:").by("TestCacheIsReadOnce").in("pause"),

		// The switch.
		one("pauses are written over others'", "dynamostore/pause.go", `pauseWhen    = "rev=:rev"`, `pauseWhen    = "rev<>:rev OR rev=:rev"`),
		one("a second pause forgets the first one's span", state, "			m.At = span.From\n", "			_ = span.From\n").by("TestResumeDoesNotFinish").in("pause"),
		one("a type paused with everything forgets its span", state, "				o.At = m.At\n", "").by("TestSpans").in("pause"),
		one("a later resumption is forgotten", state, "resuming && !now.Until.Equal(span.Until)", "resuming && now.Until.IsZero()").by("TestResumedByTwo").in("pause"),

		// The resumption.
		one("a name is forgotten before the pass", resume, "steps = append(steps, r.pass)", "steps = append(steps, func(ctx context.Context, name string, done *Resumed) error {\n			_, err := change(ctx, r.Store, func(s *State) error { return s.finish(name, done.Span) })\n			return err\n		}, r.pass)"),
		one("a resumption does not wait for caches", resume, "return sleep(ctx, r.Limits.PauseSettle())", "return nil"),
		one("a resumption leaves messages that it did not see", resume, "plan.Selected == 0 && plan.Certain", "plan.Selected == 0").by("TestResumeDoesNotFinish").in("pause"),
		one("an incomplete pass ends a pause", resume, "	case !done.Pass.Complete():", "	case done.Pass.Stopped:").by("TestResumeDoesNotFinish").in("pause"),
		one("the pass of a resumption compares older history", "reconcile/backfill.go", "		if err := p.begun(ctx); err != nil {", "		if err := ctx.Err(); err != nil {"),

		// What sends.
		one("passes ignore pauses", pass, "p.resumes); quiet || err != nil {", "p.resumes); quiet && err != nil {"),
		one("the sweep ignores pauses", pass, "	if p.cfg.Pause != nil {", "	if p.cfg.Pause != nil && !sweep {").by("TestNoTierSendsAPausedType").in("reconcile"),
		one("a slice with paused events is not compared again", "reconcile/sum.go", "(open || rec.State == idempotency.Done)", "(open || what == paused || rec.State == idempotency.Done)").by("TestPausedSliceIsCovered").in("reconcile"),
		one("a replay ignores pauses", "replay/replay.go", "err != nil || !paused {", "err != nil || paused || !paused {").by("TestStates").in("replay"),
	}
}
