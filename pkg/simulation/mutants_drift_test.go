package simulation

// driftMutants are those of the comparison of rows with Stripe.
func driftMutants() []mutant {
	const (
		checker = "drift/drift.go"
		compare = "drift/compare.go"
		repair  = "drift/repair.go"
		sweep   = "drift/sweep.go"
		store   = "dynamostore/kept.go"
		save    = "		if err := s.compare(ctx, part, pass, r); err != nil {\n			return err\n		}\n		pass.After = part[len(part)-1]\n"
		early   = "		pass.After = part[len(part)-1]\n		_ = s.save(ctx, p)\n		if err := s.compare(ctx, part, pass, r); err != nil {\n			return err\n		}\n"
	)
	return []mutant{
		one("a repair writes without the version", store, "	items, err := o.transactItems(swaps, time.Time{})\n", "	items, err := o.transactItems(swaps, time.Time{})\n	for _, it := range items {\n		it.Put.ConditionExpression, it.Put.ExpressionAttributeValues = nil, nil\n	}\n").by("TestMend").in("dynamostore"),
		one("a repair names messages that it does not request", repair, "		messages, _ := effect.Named(kept)\n", "		messages, _ := effect.Named(e.Fields)\n").by("TestRepair").in("drift"),
		one("a repaired entitlement leads to no row", repair, "		_, rows := effect.Named(e.Fields)\n", "		_, rows := effect.Named(kept)\n").by("TestRepairedRowsAreWrittenAgain").in("cmd/tollgate"),
		one("verify of a customer skips rows that are led to", "cmd/tollgate/ledger/verify.go", "			_, rows := effect.Named(item)\n", "			rows, _ := effect.Named(nil)\n").by("TestVerifySelects").in("cmd/tollgate"),
		one("a repaired entitlement has a version of its own", store, "		it.Put.Item[\"ver\"] = num(next)\n", "		_, _ = it, next\n").by("TestMend").in("dynamostore"),
		one("verify skips entitlements", compare, "		kept := r.Before[e.Key]\n", "		if e.Key != rowKey {\n			continue\n		}\n		kept := r.Before[e.Key]\n").by("TestVerifyFindsEachDrift").in("cmd/tollgate"),
		one("the rows of refunds have no keeper", "handlers/handlers.go", "	dispatch.Refreshes(mux, keepRefund)\n", "").by("TestEveryRowHasAKeeper").in("handlers"),
		one("verify skips the list", compare, "	names = append(names, dispatch.ListName, dispatch.ListOrder)\n", "	_ = dispatch.ListOrder\n").by("TestResults").in("drift"),
		one("verify takes lag for drift", checker, "	for range maxRechecks {\n", "	for range maxRechecks * 0 {\n").by("TestLagIsNoDrift").in("drift"),
		one("the position is saved before the batch was compared", sweep, save, early).by("TestKilledRun").in("drift"),
		one("an outage is drift", checker, "	case !permanent || p.Reason == dispatch.ReasonNoAPIKey:\n		return Failed\n", "	case !permanent || p.Reason == dispatch.ReasonNoAPIKey:\n		return Gone\n").by("TestStripeDownRaisesTheAge").in("drift"),
		one("the age begins with the first pass that ends", sweep, "	if p.Ver == 0 { // from", "	if p.Ver < 0 { // from").by("TestStripeDownRaisesTheAge").in("drift"),
		one("two runs at once save one position", sweep, "	if !saved {\n		return errOtherRun\n	}\n", "	_ = saved\n").by("TestTwoRuns").in("drift"),
	}
}
