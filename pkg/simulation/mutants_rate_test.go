package simulation

// rateMutants are seeded bugs in how processes share Stripe's rate limit.
func rateMutants() []mutant {
	const (
		rate  = "stripeapi/rate.go"
		burst = "TestBurstAtStripesLimit"
	)
	unit := func(test, name, old, new string) mutant { return one(name, rate, old, new).in("stripeapi").by(test) }
	return []mutant{
		// What the fleet does.
		one("a 429 does not slow down", rate, "float64(b.tokens.Limit())/2)", "float64(b.tokens.Limit()))").by(burst),
		one("every process has the whole budget", rate, "start := most / l.processes", "start := most").by(burst),
		one("growth at full speed after a 429", rate, "growth*quiet*quiet)", "growth*max(quiet, 1))").by(burst),
		one("one rate for all accounts", "stripeapi/get.go", "bucketKey{r.account, r.resource,", `bucketKey{"", r.resource,`).in("stripeapi").by("TestAccountsHaveTheirOwnRates"),
		one("a message without a turn makes room for the next", rate, "wait, late = max(0, time.Until(end)-least), true", "wait, late = 0, true").by(burst),

		// What one process does.
		unit("TestGrowth", "a rate grows past the budget", "b.start*slowest), b.most)", "b.start*slowest), 2*b.most)"),
		unit("TestGrowth", "a rate does not grow", "growth*quiet*quiet)", "0*quiet)"),
		unit("TestNoGrowthWithoutNeed", "a rate grows without need", "a.status < 500 && h.waits:", "a.status < 500:"),
		unit("TestFloor", "a rate falls without end", "max(perSecond, b.start*slowest)", "perSecond"),
		unit("TestRest", "a process that idled keeps its rate", "	if b.rests(now) {", "	if b.rests(now) && false {"),
		unit("TestRefusals", "requests under way together halve the rate each", "	if sent.Before(b.refused) {", "	if false {"),
		unit("TestRefusals", "a limit of one resource slows down all", `		return !h.all`, `		return true`),
		unit("TestRefusals", "a locked object slows down", "	case reason == limitedObject:\n		return false", "	case reason == limitedObject:\n		return true"),
		unit("TestPause", "Retry-After is ignored", "	if retryAfter > 0 {", "	if retryAfter > 2*maxPause {"),
		unit("TestPause", "Retry-After does not hold up who already waits", "case pause == 0 && !l.paused(t):", "case pause == 0:"),
		unit("TestPauseAndClock", "a clock that was set back prolongs a pause", "	if d > maxPause { // the clock", "	if d > 1000*maxPause { // the clock"),
		unit("TestLateTurn", "a turn that comes too late is lost", "			if t.cancel(); pause > 0 {", "			if pause > 0 {"),
		unit("TestBucketsAreBounded", "accounts are remembered without bound", "	if len(l.buckets) < maxBuckets {", "	if len(l.buckets) >= 0 {"),
		unit("TestUnlimited", "no limit with a live key", "	if l.unlimited && !k.live {", "	if l.unlimited {"),
		unit("TestWholeAccount", "a sandbox counts as live", "	case live:\n		return 4", "	case live || true:\n		return 4"),
		one("a retry comes before Stripe allows", "stripeapi/event.go", "u.RetryAfter > 0 {", "u.RetryAfter > 1<<62 {").in("stripeapi").by("TestRetryLater"),
		one("a busy Stripe uses up a message's receives", "consumer/failure.go", "			least = r.delay\n", "			least = 0\n").in("consumer").by("TestOutcomes"),
		one("the consumer does not divide the rate", "run/consumer.go", "Processes: cfg.Concurrency, ", "").in("run").by("TestStripeRate"),
	}
}
