package simulation

// destinationMutants are seeded bugs in the verbs for destinations and in the receiver listen.
func destinationMutants() []mutant {
	verb := func(test, name, old, new string) mutant {
		return one("destination: "+name, "cmd/tollgate/destinations/change.go", old, new).in("cmd/tollgate").by(test)
	}
	listen := func(test, name, old, new string) mutant {
		return one("listen: "+name, "cmd/tollgate/destinations/listen.go", old, new).in("cmd/tollgate/destinations").by(test)
	}
	return []mutant{
		verb("TestDestinationRedrive", "a disabled destination is redriven", "if !s.Off.IsZero() && !c.DryRun {", "if !s.Off.IsZero() && s.Off.IsZero() {"),
		verb("TestDestinationRedrive", "deliveries that are over stay so", "_, err = m.work.rows.Reopen(ctx, j, time.Now())", "_ = j"),
		verb("TestDestinationRedrive", "every destination's dead letters are moved", "return err == nil && j.Destination == name", "return err == nil && (j.Destination == name || name != \"\")"),
		verb("TestDestinationRedrive", "enabling keeps what it failed since", "*s = delivery.State{Ver: s.Ver, Paused: s.Paused, PausedBy: s.PausedBy}", "*s = delivery.State{Ver: s.Ver, Since: s.Since}"),
		verb("TestDestinationTest", "a failed test message is a success", "if r.Status != delivery.Delivered {", "if r.Status != delivery.Delivered && err != nil {"),
		one("destination: the path of a URL is printed", "cmd/tollgate/destinations/destinations.go", `return u.Scheme + "://" + u.Host`, `return u.String()`).in("cmd/tollgate").by("TestDestinationListAndShow"),
		one("destination: a plan takes messages that do not match", "redrive/plan.go", "if !s.takes(batch[i]) || !s.Filter.Matches(dl) {", "if !s.Filter.Matches(dl) {").in("cmd/tollgate").by("TestDestinationRedrive"),
		one("destination: a group has the dead-letter queue", "destination/parse.go", "if d.Group == deadGroup {", `if d.Group == deadGroup+"s" {`).in("destination").by("TestFaults"),
		listen("TestListenTellsDuplicates", "a refused delivery makes duplicates", "got.Attempt, got.Duplicate = m.received, m.accepted", "got.Attempt, got.Duplicate = m.received, m.received > 1"),
		listen("TestListenTellsDuplicates", "every delivery is refused", "m.received <= r.fail.times)", "m.received > 0)"),
		listen("TestListenVerifies", "a wrong signature is accepted", "got.Status, got.Error = http.StatusUnauthorized, err.Error()", "got.Status, got.Error = http.StatusNoContent, err.Error()"),
		listen("TestListenVerifies", "deliveries are refused for good before the secrets are known", "got.Status = http.StatusServiceUnavailable\n		}", "got.Status = http.StatusUnauthorized\n		}"),
		one("local: groups share their processes", "local/sending.go", "sum += processes\n", "sum = processes\n").in("local").by("TestSenderProcesses"),
		one("local: a missing kind of destination is accepted", "local/sending.go", "t == destination.EventBridge || t == destination.SNS", "t == destination.EventBridge").in("local").by("TestOptionsAreCheckedAtOnce"),
	}
}
