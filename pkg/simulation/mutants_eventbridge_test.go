package simulation

// busMutants are seeded bugs in what comes through EventBridge.
func busMutants() []mutant {
	const (
		partner = "queue/partner.go"
		words   = "event/event.go"
		set     = "	e.Endpoint, e.Source, e.Body = PartnerEndpoint, event.EventBridge, form[partnerFormDetail].Raw\n"
	)
	return []mutant{
		one("EventBridge's events have no endpoint", partner, "e.Endpoint, e.Source, e.Body = PartnerEndpoint, event.EventBridge,", "e.Source, e.Body = event.EventBridge,"),
		one("EventBridge's events count as reconciled", partner, "PartnerEndpoint, event.EventBridge,", "PartnerEndpoint, event.Reconcile,"),
		one("EventBridge's events are no deliveries", words, "return s == Webhook || s == EventBridge }", "return s == Webhook }").by("TestBusIsNoMissedDelivery"),
		one("EventBridge's events have no account", partner, set, set+"	e.Account = \"\"\n"),
		one("an event of EventBridge is another one than the webhook's", partner, set, set+"	e.Created++\n"),
		one("EventBridge's events are of the other mode", partner, set, set+"	e.Livemode = !e.Livemode\n"),
		one("EventBridge's events were never received", partner, "e.ReceivedAt = received.UTC()", "e.ReceivedAt = received.Add(-99 * time.Hour)"),
		one("EventBridge's events are undecodable", partner, "	case err != nil:\n", "	case err == nil:\n"),
	}
}
