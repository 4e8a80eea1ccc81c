package simulation

import "slices"

// handlerMutants are seeded bugs in the rules of the handlers, which their own tests find.
func handlerMutants() []mutant { return slices.Concat(paymentMutants(), chargeMutants()) }

// paymentMutants are those of invoices and payments.
func paymentMutants() []mutant {
	const (
		invoice = "handlers/invoice.go"
		payment = "handlers/paymentintent.go"
		reg     = "handlers/handlers.go"
	)
	return []mutant{
		one("the fact of a paid invoice is keyed by the invoice alone", invoice, `Name: "paid#" + by,`, `Name: "paid" + by[:0],`).by("TestReopenedInvoice").in("handlers"),
		one("a late event's fact is of the payment that paid since", invoice, "[]*stripe.Invoice{e.Snapshot, &e.Object}", "[]*stripe.Invoice{&e.Object, e.Snapshot}").by("TestReopenedInvoice").in("handlers"),
		one("invoice and payment have a receipt each", invoice, `effect.FactKey(e.Envelope, pi, paymentSucceeded), "payment_intent", pi`, `m.Subject, "payment_intent", pi`).by("TestOneReceiptPerPayment").in("handlers"),
		one("a payment of an invoice has a receipt of its own text", payment, "	if pi.Invoice == nil {\n", "	if pi.Invoice != nil || pi.Status != \"\" {\n").by("TestPaymentOfAnInvoiceHasNoMessageOfItsOwn").in("handlers"),
		one("a payment outside of Stripe is that of the payment begun", invoice, "	case in.PaidOutOfBand:\n", "	case in.PaidOutOfBand && pi == \"\":\n").by("TestFactOfAPaidInvoice").in("handlers"),
		one("a payment outside of Stripe is one of nothing", invoice, "return cmp.Or(in.AmountPaid, in.AmountDue)", "return in.AmountPaid").by("TestFactOfAPaidInvoice").in("handlers"),
		one("a receipt for an invoice that is open again", invoice, "fact.Amount > 0 && !e.Behind", "fact.Amount > 0").by("TestSettledEventsKeepWhatStripeShows").in("handlers"),
		one("the fact of an earlier release is written again", invoice, "	if paidBefore(e, in) {\n", "	if paidBefore(e, in) && e.Behind {\n").by("TestInvoicePaidUnderAnEarlierRelease").in("handlers"),
		one("mail about each declined card", payment, `m.Subject = effect.FactKey(e.Envelope, pi.ID, "failed")`, `m.Subject = effect.FactKey(e.Envelope, pi.ID, fact.Name)`).by("TestOneMessagePerFailedPayment").in("handlers"),
		one("mail about a failure after the success", payment, "return !succeeded, err", "return !succeeded || err == nil, err").by("TestNoMessageAboutAFailureBeforeTheSuccess").in("handlers"),
		one("an action is required for a paid invoice", invoice, "e.Object.Status == stripe.InvoiceStatusOpen, nil", "true, nil").by("TestActionRequired").in("handlers"),
		one("a void invoice keeps its next attempt", invoice, `"next_payment_attempt": in.NextPaymentAttempt,
		},
	}, ms...)`, `"next_payment_attempt": cmp.Or[any](e.Row["next_payment_attempt"], in.NextPaymentAttempt),
		},
	}, ms...)`).by("TestEveryOpenInvoiceIsClosed").in("handlers"),
		one("an invoice opened again stays paid", reg, "stripe.EventTypeInvoiceUpdated, keepInvoice,", "stripe.EventTypeInvoiceFinalized, keepInvoice,").by("TestReopenedInvoice").in("handlers"),
		one("every change of a draft is kept", reg, "keepInvoice, dispatch.OnlyKept, dispatch.Coalesce", "keepInvoice, dispatch.Coalesce").by("TestUpdatesBeginNoRow").in("handlers"),
		one("void is not waited for", reg, "keepInvoice, dispatch.Announces(isVoid)", "keepInvoice").by("TestRetriesUntilStripeShowsTheEvent").in("handlers"),
	}
}
