package simulation

// forwardMutants are seeded bugs in forwarding, in the hand-over after a commit, and in the targets
// of AWS and mail.
func forwardMutants() []mutant {
	const (
		mux      = "dispatch/mux.go"
		forward  = "dispatch/forward.go"
		message  = "consumer/message.go"
		commit   = "dynamostore/complete.go"
		handover = "outbox/handover.go"
		shard    = "outbox/shard.go"
		aws      = "target/awstarget/awstarget.go"
		events   = "target/awstarget/eventbridge.go"
		queue    = "target/awstarget/sqs.go"
		whole    = "delivery/whole.go"
		mailer   = "target/mail/mail.go"
		encode   = "target/mail/encode.go"
		view     = "target/mail/view.go"
		render   = "target/mail/templates.go"
	)
	return []mutant{
		one("only events without a handler are forwarded", mux, "	if forward {\n", "	if forward && h == nil {\n").by("TestForward").in("dispatch"),
		one("a coalesced event is not forwarded", mux, "		effects, coalesced, err = nil, err, nil\n", "		return nil, err\n").by("TestForward").in("dispatch"),
		one("a failed event is forwarded", mux, "	if errors.Is(err, ErrCoalesced) {\n", "	if err != nil {\n").by("TestForward").in("dispatch"),
		one("an event that is only forwarded is not pure", mux, "		return m.forwards(e)\n	}\n	return !e.Thin()", "		return false\n	}\n	return !e.Thin()").by("TestForwardedTypes").in("dispatch"),
		one("a forwarded event has its payload", forward, "ForwardedThin: in.Thin(),\n", "ForwardedThin: in.Thin(), \"body\": string(in.Body),\n").by("TestForwardedMessage").in("dispatch"),
		one("a forwarded event is never held", forward, "time.Unix(in.Created, 0), Fields{", "in.Now.Add(0*time.Second), Fields{").by("TestForwardedMessage").in("dispatch"),
		one("nothing subscribes to a type that is only forwarded", forward, "	for _, typ := range f.types {\n", "	for _, typ := range f.types[:0] {\n").by("TestForwardedTypes").in("dispatch"),

		one("a held message is handed over", message, "!e.ToSend() || !slices", "!slices").by("TestHandOver").in("consumer"),
		one("a message of another event is handed over", message, "!e.ToSend() || !slices.Contains(written, e.Key)", "!e.ToSend()").by("TestHandOver").in("consumer"),
		one("a message is handed over without time", message, "if len(due) == 0 || budget <= 0 {", "if len(due) == 0 {").by("TestHandOverEnds").in("consumer"),
		one("a hand-over has no end", message, "	ctx, cancel := context.WithTimeout(context.WithoutCancel(a.ctx), budget)\n", "	ctx, cancel := context.WithTimeout(context.WithoutCancel(a.ctx), 2*budget)\n").by("TestHandOverEnds").in("consumer"),
		{name: "a dropped insert counts as written", test: "TestHandedOverIsWhatIsStored", dir: "dynamostore", edits: []edit{
			{commit, "	for { // every further round has fewer effects\n", "	all := effects\n	for {\n"},
			{commit, "Written: writtenKeys(effects)}", "Written: writtenKeys(all)}"},
		}},
		{name: "a message is marked before it is handed over", test: "TestHandOver", dir: "outbox", edits: []edit{
			{handover, "	if err := send(ctx, sender, requested(e)); err != nil {\n", "	_ = marks.MarkSent(ctx, e.Key, time.Now())\n	if err := send(ctx, sender, requested(e)); err != nil {\n"},
		}},
		one("a run takes what the hand-over has in its hands", shard, "s.o.MinAge > 0 && ", "s.o.MinAge < 0 && ").by("TestMinAge").in("outbox"),
		one("young messages are not counted", shard, " && !s.young", "").by("TestMinAge").in("outbox"),

		one("PutEvents' entry is not read", events, "	case out.Entries[0].ErrorCode != nil:\n", "	case out.Entries[0].ErrorCode == out.Entries[0].EventId:\n").by("TestEventBridge").in("target/awstarget"),
		one("a FIFO queue has a group for each message", aws, "groupOf(cmp.Or(d.ObjectID(), d.ID))", "groupOf(cmp.Or(d.ID, d.ObjectID()))").by("TestSQS").in("target/awstarget"),
		one("a FIFO queue takes each attempt", queue, "&p.group, &d.ID", "&p.group, &p.body").by("TestSQS").in("target/awstarget"),
		one("a message of any size is sent", aws, "	if size <= most {\n", "	if size <= most || most > 0 {\n").by("TestTooLarge").in("target/awstarget"),
		one("attributes have no size", aws, "size += len(a.name) + len(a.dataType) + len(a.value)", "size += 0 * len(a.name)").by("TestTooLarge").in("target/awstarget"),
		one("a refusal of AWS is retried", aws, "	return *stop(status, reasonOf(code))\n", "	return delivery.Answer{Verdict: delivery.Retry, Status: status, Err: reasonOf(code)}\n").by("TestAnswers").in("target/awstarget"),
		one("a throttled call stops its delivery", aws, "throttled || code == \"\" {", "throttled && code == \"\" {").by("TestAnswers").in("target/awstarget"),
		one("another event's body is sent", whole, "err != nil || inside.ID != d.Event.ID ||", "err != nil ||").by("TestWholeEvents").in("delivery"),
		one("a missing event is fetched for days", whole, "	case permanent != nil:\n", "	case permanent != nil && err == nil:\n").by("TestWholeEvents").in("delivery"),

		one("a message about test money is mailed", mailer, "!d.Message.Live() && !t.c.TestMode", "!d.Message.Live() && t.c.TestMode").by("TestSend").in("target/mail"),
		one("a deleted customer gets mail", mailer, "	case r.Deleted:\n", "	case r.Deleted && r.Email != \"\":\n").by("TestSend").in("target/mail"),
		one("a customer gets the business's mail", mailer, "	if own.audience == Customer {\n", "	if own.audience != \"\" {\n").by("TestSend").in("target/mail"),
		one("an address may have more than one", mailer, "	a, err := mail.ParseAddress(text)\n", "	l, err := mail.ParseAddressList(text)\n	a := &mail.Address{}\n	if len(l) > 0 {\n		a = l[0]\n	}\n").by("TestSend").in("target/mail"),
		one("an address with a comma is two recipients", mailer, ` || (&mail.Address{Address: a.Address}).String() != "<"+a.Address+">" {`, " {").by("TestSend").in("target/mail"),
		one("a recipient adds a header", encode, "strings.ContainsFunc(m.From+m.To+m.Subject+m.ID, unicode.IsControl)", "strings.ContainsFunc(m.From+m.Subject+m.ID, unicode.IsControl)").by("TestEncodeRefusesHeaders").in("target/mail"),
		one("a field adds a header", render, "strings.ContainsFunc(v.Subject, unicode.IsControl)", "strings.ContainsFunc(v.Subject, unicode.IsSymbol)").by("TestRender").in("target/mail"),
		one("HTML is not escaped", render, `htmltemplate "html/template"`, `htmltemplate "text/template"`).by("TestRender").in("target/mail"),
		one("yen have cents", view, "		return 0\n	case slices", "		return 2\n	case slices").by("TestAmounts").in("target/mail"),
		one("dinars have cents", view, "		return 3\n", "		return 2\n").by("TestAmounts").in("target/mail"),
		one("a customer's language is not read", render, "		base, _, _ := strings.Cut(locale, \"-\")\n", "		base, _, _ := strings.Cut(fallback+locale[:0], \"-\")\n		locale = base\n").by("TestChoose").in("target/mail"),
	}
}
