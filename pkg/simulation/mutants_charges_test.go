package simulation

// chargeMutants are seeded bugs in the rules of disputes, refunds, early fraud warnings,
// checkouts and deleted customers.
func chargeMutants() []mutant {
	const (
		dispute  = "handlers/dispute.go"
		refund   = "handlers/refund.go"
		charge   = "handlers/charge.go"
		warning  = "handlers/fraudwarning.go"
		checkout = "handlers/checkout.go"
		customer = "handlers/customer.go"
		reg      = "handlers/handlers.go"
		object   = "stripeapi/object.go"
		sublist  = "stripeapi/sublist.go"
	)
	handled := func(test string, m mutant) mutant { return m.by(test).in("handlers") }
	return []mutant{
		handled("TestDisputeOpenedWhereEvidenceCanBeGiven", one("a lost dispute is reported as opened", dispute, "case d.Status != stripe.DisputeStatusNeedsResponse:", "case d.Status == stripe.DisputeStatusUnderReview:")),
		handled("TestDisputeOpenedWhereEvidenceCanBeGiven", one("an inquiry is reported as a chargeback", dispute, `m.Extra["inquiry"] = isInquiry(string(d.Status))`, `m.Extra["inquiry"] = false`)),
		handled("TestEscalatedInquiry", one("an inquiry that becomes a chargeback is not reported", dispute, `m.Subject += "#inquiry"`, `m.Subject += ""`)),
		handled("TestEscalatedInquiry", one("an escalation is as old as its inquiry", dispute, "m.Since = max(e.Created, withdrawnAt(d))", "m.Since = d.Created")),
		handled("TestEscalatedInquiry", one("an escalation that an old event shows is held", dispute, "max(e.Created, withdrawnAt(d))", "e.Created")),
		handled("TestMoneyOfADispute", one("the end of a dispute is ignored", reg, "stripe.EventTypeChargeDisputeClosed, keepDispute", "stripe.EventTypeChargeExpired, keepDispute")),
		handled("TestRetriesUntilStripeShowsTheEvent", one("the end of a dispute is not waited for", reg, "keepDispute, dispatch.Announces(isClosed)", "keepDispute")),
		handled("TestMoneyOfADispute", one("reinstated funds are withdrawn again", dispute, `kind, amount := "dispute_funds_reinstated", b.Amount`, `kind, amount := "dispute_funds_withdrawn", b.Amount`)),
		handled("TestMoneyOfADispute", one("one fact for all money of a dispute", dispute, "ID: id, Name: b.ID,", `ID: id, Name: "funds",`)),
		handled("TestStatusOfARefund", one("a failed refund is not reversed", refund, "return r.Status == stripe.RefundStatusFailed ||", `return r.Status == "" ||`)),
		handled("TestStatusOfARefund", one("a canceled refund is not reversed", refund, "|| r.Status == stripe.RefundStatusCanceled", "")),
		handled("TestStatusOfARefund", one("a pending refund is no refund", refund, "	facts := []effect.Fact{{", "	if r.Status == stripe.RefundStatusPending {\n		return nil, nil\n	}\n	facts := []effect.Fact{{")),
		handled("TestFailedRefundChangesItsCharge", one("a charge stays refunded after the refund failed", refund, "return append(effects, rows...), nil", "return append(effects, rows[:0]...), nil")),
		handled("TestRefund", one("a late failure is as old as its refund", refund, "failed.Occurred = b.Created", "failed.Occurred = r.Created")),
		handled("TestSeveralRefundsOfACharge", one("a refund counts for itself and for its charge", refund, `Name: "refunded",`, `Name: "refunded" + in.Type[:1],`)),
		handled("TestListOfARefund", one("a refund is not listed under its customer", refund, "effect.CustomerOf(with.Charge)", "effect.CustomerOf(object)")),
		handled("TestManyRefundsOfACharge", one("all refunds of a charge in one transaction", charge, "i >= maxChargeRefunds", "i >= 2*maxChargeRefunds")),
		handled("TestFraudWarningIsReportedWhileActionable", one("a warning is reported after the refund", warning, "	if w.Actionable {", `	if w.ID != "" {`)),
		handled("TestDelayedPaymentOfACheckout", one("a checkout stays unpaid", reg, "stripe.EventTypeCheckoutSessionAsyncPaymentSucceeded, keepCheckout", "stripe.EventTypeCustomerUpdated, keepCheckout")),
		handled("TestListOfACheckout", one("a guest's checkout is not found by its reference", checkout, "			effect.ReferenceList(e.Envelope, s.ClientReferenceID),\n", "")),
		handled("TestCustomerNotDeletedYet", one("a customer that Stripe shows is kept as deleted", customer, "	if !e.Deleted {", "	if e.Deleted && !e.Deleted {")),
		handled("TestCustomerDeleted", one("a deleted customer of another version is parked", "dispatch/current.go", "case gone && object != nil:", "case gone && object != nil && deleted:")),
		one("a dispute is fetched without its charge", object, `case "dispute", "radar.early_fraud_warning":`, `case "radar.early_fraud_warning":`).by("TestObjectsAreFetchedExpanded").in("stripeapi"),
		one("refunds beyond the first ten are lost", sublist, `case "charge":`, `case "payment_intent":`).by("TestChargeComesWithAllRefunds").in("stripeapi"),
	}
}
