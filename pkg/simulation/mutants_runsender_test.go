package simulation

// runSenderMutants are seeded bugs in what runs the sender: its configuration, its wiring, its
// queues and what it counts.
func runSenderMutants() []mutant {
	unit := func(dir, file string) func(test, name, old, new string) mutant {
		return func(test, name, old, new string) mutant { return one(name, dir+"/"+file, old, new).in(dir).by(test) }
	}
	cfg, wired, targets := unit("config", "sender.go"), unit("run/runsender", "runsender.go"), unit("run/runsender", "targets.go")
	through := func(test, name, file, old, new string) mutant {
		return one(name, file, old, new).in("run/runsender").by(test)
	}
	jobs, counted, numbers, checks := unit("sqsqueue", "jobs.go"), unit("telemetry", "sender.go"), unit("limits", "sendqueue.go"), unit("doctor", "destinations.go")
	return []mutant{
		cfg("TestLocal", "a stage on AWS may send to loopback addresses", "return destination.Deployed", "return destination.Local"),
		cfg("TestLocal", "any host is the local system", `|| u.Hostname() == "localhost"`, `|| u.Hostname() != ""`),
		cfg("TestSenderFaults", "mails of a stage are written into a folder", "c.MailDir != \"\" && !c.AWS.Local()", "c.MailDir != \"\" && c.AWS.Local()"),
		cfg("TestSenderFaults", "jobs go to queues that are not there", "!strings.HasSuffix(s.DLQURL, sendDead) {", "!strings.HasSuffix(s.DLQURL, \"dead\") {"),
		cfg("TestLoadSender", "the group is the queue's last word", "queue[strings.LastIndexAny(queue, \":/\")+1:]", "queue[strings.LastIndexAny(queue, \":/-\")+1:]"),
		cfg("TestLoadSender", "another queue counts as a group's", "!found || !known {", "!found || known && false {"),
		jobs("TestSendJobs", "a refused job counts as enqueued", "if why := refused[m.ID]; why != nil {", "if why := refused[m.ID]; why != nil && len(refused) > 1 {"),
		one("a job without an id counts as enqueued", "sqsqueue/deadletters.go", `if aws.ToString(s.MessageId) != "" {`, `if aws.ToString(s.Id) != "" {`).in("sqsqueue").by("TestSendJobs"),
		wired("TestOtherQueue", "a batch of another queue is acknowledged", "	if h == nil {\n		return nil,", "	if h == nil {\n		return []byte(`{\"batchItemFailures\":[]}`), nil\n	}\n	if h == nil {\n		return nil,"),
		wired("TestComesBack", "jobs are hidden in another group's queue", "cfg.Sending.QueueURL(group), cfg.Sending.DLQURL", "cfg.Sending.QueueURL(group+\"s\"), cfg.Sending.DLQURL"),
		wired("TestShare", "every process takes the whole rate", "d.Rate/float64(processes), batch", "max(float64(processes), d.Rate), batch"),
		targets("TestMailToTheBusiness", "messages to the business are dead letters", "To: d.To, ", ""),
		targets("TestRegions", "a queue of another region is asked for here", "return host[1]\n", "return \"\"\n"),
		through("TestSendsOn", "the consumer hands nothing over", "run/handover.go", "	return outbox.HandOver(marks, router)\n", "	return nil\n"),
		through("TestSendsOn", "events are not sent on", "run/handover.go", "	delivery.Forward(mux, to.Destinations)\n", ""),
		through("TestSwept", "the outbox task logs what it should send on", "run/reconcile.go", "sender, drains.MinAge = router, l.OutboxMinAge", "drains.MinAge = l.OutboxMinAge"),
		through("TestSwept", "the outbox task overtakes the consumer", "run/reconcile.go", "sender, drains.MinAge = router, l.OutboxMinAge", "sender = router"),
		counted("TestEveryOutcomeOfTheSenderIsCounted", "a destination that is down is not counted", "values[FailingKey] >=", "values[FailingKey] > 2*"),
		counted("TestEveryOutcomeOfTheSenderIsCounted", "what waits for a breaker is not counted", "	\"breaker_open\":  limits.MetricDeliveryWaiting,\n", ""),
		one("a disabled destination is not counted", "telemetry/metrics.go", "	case DisabledMessage:\n", "	case \"disabled\":\n").in("telemetry").by("TestEveryOutcomeOfTheSenderIsCounted"),
		numbers("TestMapping", "a batch waits for itself", "return processes, max(1, concurrency/processes)", "return processes, SQSMaxBatch"),
		numbers("TestValidateNames", "a job may end before its destination is disabled", "q.Retention > s.MaxAge+s.DisableAfter &&", ""),
		one("the outbox task may overtake the consumer", "limits/reconcile.go", "r.OutboxMinAge > l.ConsumerTimeout,", "r.OutboxMinAge > 0,").in("limits").by("TestValidateNames"),
		checks("TestDestinations", "a public key counts as one that signs", "	if err == nil {\n		err = keys.Sign(", "	if err != nil {\n		err = keys.Sign("),
		checks("TestDestinations", "a disabled destination is in order", "	case !s.Off.IsZero():\n", "	case !s.Off.IsZero() && s.Why == \"\":\n"),
	}
}
