package simulation

// sceneMutants are seeded bugs that whole lives of objects show: each is found by plays of the
// scenes against the truth that Stripe's objects tell.
func sceneMutants() []mutant {
	const reg = "handlers/handlers.go"
	found := func(name, file, old, new string) mutant {
		return one("in a life: "+name, file, old, new).by("TestScenes").in("simulation/scenes")
	}
	return []mutant{
		found("one fact for both payments of a reopened invoice", "handlers/invoice.go", `Name: "paid#" + by,`, `Name: "paid" + by[:0],`),
		found("a reopened invoice stays paid", reg, "stripe.EventTypeInvoiceUpdated, keepInvoice,", "stripe.EventTypeInvoiceFinalized, keepInvoice,"),
		found("a delayed payment does not end its checkout", reg, "stripe.EventTypeCheckoutSessionAsyncPaymentSucceeded, keepCheckout", "stripe.EventTypeCustomerUpdated, keepCheckout"),
		found("the accounts of an organisation are one", "event/parse.go", "e.Account, e.AccountFrom = ContextAccount(context), FromContext", "e.AccountFrom = FromAccount"),
		found("a welcome at the first arrival", "handlers/subscription.go", "	if s.Status == stripe.SubscriptionStatusActive || s.Status == stripe.SubscriptionStatusTrialing {\n		ms", "	if s.ID != \"\" {\n		ms"),
		found("a welcome with the created event alone", "handlers/subscription.go", "	if s.Status == stripe.SubscriptionStatusActive || s.Status == stripe.SubscriptionStatusTrialing {\n		ms", "	if e.Type == \"customer.subscription.created\" && !hasEnded(s) {\n		ms"),
		found("a failed refund is not reversed", "handlers/refund.go", "r.Status == stripe.RefundStatusFailed ||", `r.Status == "" ||`),
		found("the end of a dispute is ignored", reg, "stripe.EventTypeChargeDisputeClosed, keepDispute", "stripe.EventTypeChargeExpired, keepDispute"),
		found("the entitlement shows no pause", "handlers/subscription.go", "	fields[\"pause_collection\"] = pauseOf(s)\n", "	fields[\"pause_collection\"] = nil\n"),
	}
}
