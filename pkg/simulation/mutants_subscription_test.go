package simulation

// subscriptionMutants are seeded bugs in the rows, entitlements and messages of subscriptions and in
// what an application reads of them.
func subscriptionMutants() []mutant {
	const (
		handler  = "handlers/subscription.go"
		register = "handlers/handlers.go"
		coalesce = "dispatch/coalesce.go"
		current  = "dispatch/current.go"
		entitled = "ledger/entitled.go"
		row      = "effect/row.go"
		welcomed = "	if s.Status == stripe.SubscriptionStatusActive || s.Status == stripe.SubscriptionStatusTrialing {\n		ms"
		due      = "		ms = append(effect.ToCustomer(subscriptionMessage(e, welcome, startedAt(e))), ms...)\n"
	)
	return []mutant{
		one("welcome at incomplete", handler, welcomed, "	if !hasEnded(s) {\n		ms").by("TestWelcome").in("handlers"),
		one("welcome with the created event only", handler, welcomed, "	if e.Type == \"customer.subscription.created\" {\n		ms").by("TestWelcome").in("handlers"),
		one("a handler without the welcome of coalesced events", handler, due, "		if len(ms) == 0 {\n			ms = effect.ToCustomer(subscriptionMessage(e, welcome, startedAt(e)))\n		}\n").
			by("TestEveryHandlerInsertsWhatCoalescedEventsWould").in("handlers"),
		one("the welcome is requested again and again", handler, "	ms = effect.Unnamed(e.Row, ms)\n", "").by("TestOneWelcomeInALife").in("handlers"),
		one("a welcome is as old as its subscription", handler, "return min(e.Created, s.Created+incompleteFor)", "return cmp.Or(s.StartDate, s.Created)").
			by("TestWelcomeOfOldAndLateSubscriptions").in("handlers"),
		one("a welcome is as new as its event", handler, "return cmp.Or(s.StartDate, s.Created)", "return e.Created").by("TestWelcomeOfOldAndLateSubscriptions").in("handlers"),
		one("a trial's end is announced after the trial", handler, "if s.Status != stripe.SubscriptionStatusTrialing || s.TrialEnd == 0 {", "if s.TrialEnd == 0 {").by("TestTrialWillEnd").in("handlers"),
		one("an extended trial's end is not announced", handler, "	m.Subject += \"#\" + strconv.FormatInt(s.TrialEnd, 10)\n", "	_ = strconv.Itoa\n").by("TestTrialWillEnd").in("handlers"),
		one("until is the planned end, however far", handler, "(end == 0 || s.CancelAt <= end)", "(end == 0 || s.CancelAt != end)").by("TestEntitlement").in("handlers"),
		one("the periods of the items are not read", handler, "		end = max(end, item.CurrentPeriodEnd)\n", "		_ = item\n").by("TestEntitlement").in("handlers"),
		one("active without an end", handler, "(end == 0 || s.Items == nil)", "s.Items == nil").by("TestActiveWithoutAnEndIsRefused").in("handlers"),
		one("active without items", handler, "(end == 0 || s.Items == nil)", "end == 0").by("TestActiveWithoutItemsIsRefused").in("handlers"),
		one("a planned end renews", handler, "		until, ends = s.CancelAt, true\n", "		until = s.CancelAt\n").by("TestEntitlement").in("handlers"),
		one("the entitlement shows no pause", handler, "	fields[\"pause_collection\"] = pauseOf(s)\n", "	fields[\"pause_collection\"] = nil\n").by("TestPauseOfCollection").in("handlers"),
		one("the row shows no pause", handler, "\"pause_collection\": pauseOf(s),", "\"pause_collection\": nil,").by("TestPauseOfCollection").in("handlers"),
		one("a customer that is an account is not listed", handler, "items, customer := itemsOf(e), effect.CustomerOf(e.Raw)", "items, customer := itemsOf(e), effect.ID(s.Customer)").
			by("TestCustomerThatIsAnAccount").in("handlers"),
		one("an entitlement leads to no row", handler, "	effect.Lead(fields, dispatch.ObjectKey(e.Envelope))\n", "").by("TestRowsAreListedOrLedTo").in("handlers"),
		one("a paid invoice leads to no row", "handlers/invoice.go", "		Row: dispatch.ObjectKey(e.Envelope),\n", "").by("TestRowsAreListedOrLedTo").in("handlers"),
		one("an unpaid invoice is in no list", "handlers/invoice.go", "Led: paid,", "Led: paid || true,").by("TestRowsAreListedOrLedTo").in("handlers"),
		one("a row leaves its list", row, "e.Row == nil && r.Led", "r.Led").by("TestRowsStayWhereTheyBegan").in("handlers"),
		one("a row that is led to is listed later", row, "e.Row[ledTo] == true || ", "").by("TestRowsStayWhereTheyBegan").in("handlers"),
		one("a customer's ledger lacks rows that are led to", "ledger/read.go", "		case found: //", "		case found && false: //").by("TestReadFollowsWhatLeadsToRows").in("ledger"),
		one("paused is not waited for", register, "keepSubscription, dispatch.Announces(isPaused), dispatch.Pure)", "keepSubscription, dispatch.Pure)").by("TestRetriesUntilStripeShowsTheEvent").in("handlers"),

		one("an event without a row is fetched", coalesce, "o.onlyKept && row == nil ||", "").by("TestOnlyKept").in("dispatch"),
		one("a coalescing handler may insert anything", current, "	return f.Kind == KindInsert && !strings.HasPrefix(f.Key, MessageKey(e.key, \"\"))\n", "	return false\n").by("TestEffectsOfOnCurrent").in("dispatch"),
		one("a message about another row counts as this row's", current, "MessageKey(e.key, \"\"))", "outboxPrefix+e.key)").by("TestEffectsOfOnCurrent").in("dispatch"),

		one("an ended entitlement is served from the list", entitled, "found && grants(a) {", "found {").by("TestEntitledReadsTheTable").in("ledger"),
		one("a planned end has the grace of a renewal", entitled, "	if a[\"ends\"] != true {\n", "	{\n").by("TestEntitled").in("ledger"),
		one("a late renewal ends the entitlement", entitled, "		until = until.Add(RenewalGrace)\n", "").by("TestEntitled").in("ledger"),
		one("an entitlement that moved is served", entitled, "a.text(dispatch.ListName) == list && ", "(list != \"\" || dispatch.ListName == \"\") && ").by("TestEntitledReadsTheTable").in("ledger"),
		one("a failed read is a no", entitled, "		item, found, err := items.Item(ctx, key)\n		if err != nil {", "		item, found, err := items.Item(ctx, key)\n		if err != nil {\n			continue\n		}\n		if err != nil {").by("TestEntitledAnswersWhole").in("ledger"),
	}
}
