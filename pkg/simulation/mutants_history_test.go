package simulation

// historyMutants are seeded bugs in what receivers ask, and in the pause of a destination.
func historyMutants() []mutant {
	const (
		asked = "history/history.go"
		list  = "history/list.go"
	)
	return []mutant{
		one("receivers: any token opens a destination", asked, "valid |= subtle.ConstantTimeCompare(", "valid |= 1 | subtle.ConstantTimeCompare(").by("TestTokens").in("history"),
		one("receivers: a destination without a history answers", asked, "|| !known || !d.History {", "|| !known {").by("TestTokens").in("history"),
		one("receivers: what has not settled is listed", list, "now.Add(-h.cfg.Limits.Sender.Settle)", "now").by("TestPages").in("history"),
		one("receivers: the last of a page comes again", "dynamostore/delivery_history.go", "if l.Place != q.After && len(page) < q.Limit {", "if len(page) < q.Limit {").by("TestPages").in("history"),
		one("receivers: what a destination excludes is listed", list, "Fits(wanted, v.Status) && takes(d, l.Job.Message)", "Fits(wanted, v.Status)").by("TestPages").in("history"),
		one("receivers: a retry enqueues nothing", "history/retry.go", "h.cfg.Jobs.SendJobs(ctx, d.Group, []string{j.Encode()}); err != nil {", "h.cfg.Jobs.SendJobs(ctx, d.Group, nil); err != nil {").by("TestRetry").in("history"),
		one("a paused destination is sent to", "delivery/attempt.go", "	case !state.Paused.IsZero():\n", "	case !state.Paused.IsZero() && m.Receives > 99:\n").by("TestPausedDestination").in("delivery"),
	}
}
