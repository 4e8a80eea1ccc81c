package alarmtest

import "time"

// letterTrials are those of a dead-letter queue.
func letterTrials(queue string) []trial {
	return []trial{
		{name: "the first one after months", pages: 1, begins: hour, within: 11 * minute, feed: func(l *timeline) {
			l.letters(queue, 1, 0, during{from: hour + 3*minute, to: 6 * hour}) // before it SQS reports nothing
		}},
		{name: "one in an active queue", pages: 1, begins: hour, within: 11 * minute, feed: func(l *timeline) {
			l.letters(queue, 0, 0, during{from: 0, to: hour + 2*minute})
			l.letters(queue, 1, 0, during{from: hour + 2*minute, to: 6 * hour})
		}},
		{name: "a second cause while the first stays", pages: 2, feed: func(l *timeline) {
			l.letters(queue, 0, 0, during{from: 0, to: hour})
			l.letters(queue, 40, 0, during{from: hour, to: 3 * hour})
			l.letters(queue, 41, 0, during{from: 3 * hour, to: 6 * hour})
		}},
		{name: "one cause for an hour", pages: 1, feed: func(l *timeline) {
			l.letters(queue, 0, 0, during{from: 0, to: hour})
			for i := range 60 {
				from := hour + time.Duration(i)*minute
				l.letters(queue, float64(i), 0, during{from: from, to: from + minute})
			}
			l.letters(queue, 59, 0, during{from: 2 * hour, to: 6 * hour})
		}},
		{name: "they are listed", begins: hour, feed: func(l *timeline) {
			l.letters(queue, 12, 0, during{from: 0, to: 2 * hour})
			l.letters(queue, 2, 10, during{from: 2 * hour, to: 2*hour + 3*minute}) // dlq list hides what it has read
			l.letters(queue, 12, 0, during{from: 2*hour + 3*minute, to: 3 * hour})
			l.letters(queue, 0, 12, during{from: 3 * hour, to: 3*hour + 2*minute})
			l.letters(queue, 12, 0, during{from: 3*hour + 2*minute, to: 6 * hour})
		}},
		{name: "they are redriven", begins: hour, feed: func(l *timeline) {
			l.letters(queue, 12, 0, during{from: 0, to: 2 * hour})
			l.letters(queue, 7, 5, during{from: 2 * hour, to: 2*hour + 2*minute})
			l.letters(queue, 0, 0, during{from: 2*hour + 2*minute, to: 6 * hour})
		}},
		{name: "a value is missing", begins: hour, feed: func(l *timeline) {
			l.letters(queue, 3, 0, during{from: 0, to: 2 * hour})
			l.letters(queue, 3, 0, during{from: 2*hour + 7*minute, to: 6 * hour})
		}},
	}
}

func stayTrials(queue string) []trial {
	return []trial{
		{name: "a day and more", pages: 1, feed: func(l *timeline) {
			l.letters(queue, 0, 0, during{from: 0, to: hour})
			l.letters(queue, 1, 0, during{from: hour, to: 20 * hour})
			l.letters(queue, 0, 1, during{from: 20 * hour, to: 21 * hour})
			l.letters(queue, 1, 0, during{from: 21 * hour, to: 30 * hour})
		}},
		{name: "redriven the same day", feed: func(l *timeline) {
			l.letters(queue, 5, 0, during{from: hour, to: 20 * hour})
			l.letters(queue, 0, 0, during{from: 20 * hour, to: 40 * hour})
		}},
	}
}

func queueTrials() map[string][]trial {
	age := func(queue string, seconds float64, when during) func(*timeline) {
		return func(l *timeline) { l.aws(ofQueue(queue, "ApproximateAgeOfOldestMessage"), seconds, 1, when) }
	}
	quarter := during{0, 4 * hour, 15 * minute}
	return map[string][]trial{
		"queue-age": {
			{name: "20 minutes", pages: 1, feed: age("events", 1200, during{hour, 2 * hour, minute}), ends: 3 * hour},
			{name: "a moment", feed: age("events", 1200, during{hour, hour + 3*minute, minute}), ends: 3 * hour},
		},
		"in-flight": {
			{name: "80,000", pages: 1, feed: func(l *timeline) {
				l.aws(ofQueue("events", "ApproximateNumberOfMessagesNotVisible"), 80_000, 1, during{hour, 2 * hour, minute})
			}, ends: 3 * hour},
			{name: "50,000", feed: func(l *timeline) {
				l.aws(ofQueue("events", "ApproximateNumberOfMessagesNotVisible"), 50_000, 1, during{hour, 2 * hour, minute})
			}, ends: 3 * hour},
		},
		"dead-letters":      letterTrials("dead"),
		"dead-letters-stay": stayTrials("dead"),
		"dead-letters-expire": {
			{name: "a record of eight days, whose letter was looked at", pages: 1, feed: func(l *timeline) {
				l.happens("pass with an old dead event", 1, quarter)
				age("dead", 60, during{0, 4 * hour, minute})(l) // of the next younger letter
			}},
			{name: "a pass without a key", pages: 1, feed: func(l *timeline) { l.happens("failed pass", 1, quarter) }},
			{name: "an undecodable letter of eight days", pages: 1, feed: func(l *timeline) {
				l.happens("pass", 1, quarter)
				age("dead", 8*24*3600, during{0, 4 * hour, minute})(l)
			}},
			{name: "five days", feed: func(l *timeline) {
				l.happens("pass", 1, quarter, map[string]float64{"OldestDead": 5 * 24 * 3600})
				age("dead", 5*24*3600, during{0, 4 * hour, minute})(l)
			}},
		},
		"hold-expires": {
			{name: "a pause of eleven days, whose events were looked at", pages: 1, feed: func(l *timeline) {
				l.happens("pass in a long pause", 1, quarter)
				age("hold", 60, during{0, 4 * hour, minute})(l)
			}},
			{name: "an event of eleven days that no pause has", pages: 1, feed: func(l *timeline) {
				l.happens("pass", 1, quarter)
				age("hold", 11*24*3600, during{0, 4 * hour, minute})(l)
			}},
			{name: "of nine days", feed: func(l *timeline) {
				l.happens("pass", 1, quarter, map[string]float64{"PausedFor": 9 * 24 * 3600})
				age("hold", 9*24*3600, during{0, 4 * hour, minute})(l)
			}},
			{name: "nothing is paused", feed: func(l *timeline) { l.happens("pass", 1, quarter) }},
		},
	}
}

func consumerTrials() map[string][]trial {
	function := func(name string, n float64, when during) func(*timeline) {
		return func(l *timeline) { l.aws(ofFunction("consumer", name), 1, n, when) }
	}
	happens := func(what string, n float64, when during) func(*timeline) {
		return func(l *timeline) { l.happens(what, n, when) }
	}
	with := func(feeds ...func(*timeline)) func(*timeline) {
		return func(l *timeline) {
			for _, feed := range feeds {
				feed(l)
			}
		}
	}
	hourOf := during{hour, 2 * hour, minute}
	slow := func(age float64, when during) func(*timeline) {
		return func(l *timeline) { l.happens("done", 1, when, map[string]float64{"Age": age}) }
	}
	return map[string][]trial{
		"consumer-errors":    {{name: "crashes", pages: 1, feed: function("Errors", 1, hourOf), ends: 3 * hour}, {name: "one", feed: function("Errors", 1, once(hour)), ends: 3 * hour}},
		"consumer-throttles": {{name: "throttled", pages: 1, feed: function("Throttles", 1, hourOf), ends: 3 * hour}, {name: "once", feed: function("Throttles", 1, once(hour)), ends: 3 * hour}},
		"consumer-failures": {
			{name: "all fail", pages: 1, feed: happens("failed", 1, hourOf), ends: 3 * hour},
			{name: "the table is down", pages: 1, feed: happens("store down", 1, hourOf), ends: 3 * hour},
			{name: "the table throttles", pages: 1, feed: happens("throttled", 1, hourOf), ends: 3 * hour},
			{name: "a second outage", pages: 2, feed: with(happens("failed", 1, hourOf), happens("failed", 1, during{5 * hour, 6 * hour, minute}), happens("done", 1, during{0, 8 * hour, minute}))},
			{name: "one of a thousand", feed: with(happens("done", 1000, during{0, 3 * hour, minute}), happens("failed", 1, hourOf))},
			{name: "one event, with its back-off", feed: with(happens("failed", 1, once(hour)), happens("failed", 1, once(hour+minute)), happens("failed", 1, once(hour+4*minute))), ends: 3 * hour},
		},
		"no-time": {
			{name: "most", pages: 1, feed: with(happens("no time", 20, hourOf), happens("done", 10, during{0, 3 * hour, minute}))},
			{name: "all", pages: 1, feed: happens("no time", 1, hourOf), ends: 3 * hour},
			{name: "some", feed: with(happens("no time", 5, hourOf), happens("done", 10, during{0, 3 * hour, minute}))},
		},
		"superseded": {{name: "ten", pages: 1, feed: happens("superseded", 1, during{hour, hour + 10*minute, minute}), ends: 3 * hour}, {name: "one", feed: happens("superseded", 1, once(hour)), ends: 3 * hour}},
		"done-late": {
			{name: "two hours of a quiet stage", pages: 1, feed: with(slow(2000, during{0, day, 10 * minute}), slow(900_000, during{6 * hour, 8 * hour, 5 * minute}))},
			{name: "one that reconcile found", feed: with(slow(2000, during{0, day, 10 * minute}), slow(1_200_000, once(6*hour)))},
		},
		"policy-ignored": {
			{name: "everything is excluded", pages: 1, feed: with(happens("done", 1, during{0, day, 30 * minute}), happens("policy ignored", 1, during{day, 4 * day, 30 * minute}))},
			{name: "the other mode's, and a silent night", feed: with(happens("done", 2, during{8 * hour, 20 * hour, 30 * minute}), happens("policy ignored", 1, during{0, 2 * day, 30 * minute}), happens("done", 2, during{32 * hour, 44 * hour, 30 * minute}))},
		},
	}
}

func reconcileTrials() map[string][]trial {
	quarter := during{0, 12 * hour, 15 * minute}
	pass := func(name string, v float64, when during) func(*timeline) {
		return func(l *timeline) {
			l.happens("pass", 1, quarter)
			l.happens("pass", 1, when, map[string]float64{name: v})
		}
	}
	outbox := func(name string, v float64, when during) func(*timeline) {
		return func(l *timeline) {
			l.happens("outbox", 1, during{0, 3 * hour, minute})
			l.happens("outbox", 1, when, map[string]float64{name: v})
		}
	}
	return map[string][]trial{
		"reconcile-incomplete": {
			{name: "no key", pages: 1, begins: 2 * hour, feed: func(l *timeline) {
				l.happens("pass", 1, during{0, 3 * hour, 15 * minute})
				l.happens("failed pass", 1, during{3 * hour, 12 * hour, 15 * minute})
			}},
			{name: "its rule is disabled", pages: 1, begins: 2 * hour, feed: func(l *timeline) { l.happens("pass", 1, during{0, 3 * hour, 15 * minute}) }, ends: 12 * hour},
			{name: "every fourth pass fails", begins: 2 * hour, feed: func(l *timeline) {
				l.happens("pass", 1, quarter)
				l.happens("failed pass", 1, during{0, 12 * hour, hour})
			}},
		},
		"events-missed": {
			{name: "in each quarter", pages: 1, feed: func(l *timeline) { l.happens("missed by default", 1, during{hour, 4 * hour, 15 * minute}) }, ends: 8 * hour},
			{name: "one", feed: func(l *timeline) { l.happens("missed by default", 3, once(hour)) }, ends: 8 * hour},
		},
		"reconcile-errors": {
			{name: "it crashes", pages: 1, feed: func(l *timeline) {
				l.aws(ofFunction("reconcile", "Errors"), 1, 1, during{hour, 3 * hour, minute})
			}, ends: 6 * hour},
			{name: "one pass fails", feed: func(l *timeline) { l.aws(ofFunction("reconcile", "Errors"), 1, 1, once(hour)) }, ends: 6 * hour},
		},
		"schedule-missed": scheduleTrials(),
		"events-mismatched": {
			{name: "one", pages: 1, feed: pass("Mismatched", 1, once(hour))},
			{name: "none", feed: func(l *timeline) { l.happens("pass", 1, quarter) }},
		},
		"outbox-unsent": {
			{name: "an hour", pages: 1, feed: outbox("OutboxFailed", 1, during{hour, 2 * hour, minute})},
			{name: "a minute", feed: outbox("OutboxFailed", 1, once(hour))},
		},
		"outbox-late": {
			{name: "a message waits", pages: 1, begins: hour, feed: outbox("OutboxOldest", 1000, during{hour, 2 * hour, minute})},
			{name: "its rule is disabled", pages: 1, begins: hour, within: hour, feed: func(l *timeline) { l.happens("outbox", 1, during{0, hour, minute}) }, ends: 3 * hour},
			{name: "idle", begins: hour, feed: func(l *timeline) { l.happens("outbox", 1, during{0, 3 * hour, minute}) }},
		},
		"ledger-drift": {
			{name: "a row", pages: 1, feed: func(l *timeline) { l.happens("verify", 1, once(hour), map[string]float64{"LedgerDrift": 1}) }, ends: 5 * hour},
			{name: "none", feed: func(l *timeline) { l.happens("verify", 1, during{0, 5 * hour, hour}) }},
		},
		"ledger-unverified": {
			{name: "eleven days", pages: 1, begins: 5 * hour, feed: func(l *timeline) {
				l.happens("verify", 1, during{0, 6 * hour, hour})
				l.happens("verify", 1, during{6 * hour, day, hour}, map[string]float64{"LedgerVerifiedAge": 11 * 24 * 3600})
			}},
			{name: "its rule is disabled", pages: 1, begins: 5 * hour, feed: func(l *timeline) { l.happens("verify", 1, during{0, 6 * hour, hour}) }, ends: day},
			{name: "a week", begins: 5 * hour, feed: func(l *timeline) {
				l.happens("verify", 1, during{0, day, hour}, map[string]float64{"LedgerVerifiedAge": 7 * 24 * 3600})
			}},
		},
	}
}

// scheduleTrials are of a Saturday noon to a Monday noon.
func scheduleTrials() []trial {
	const noon, sunday, tuesday = 5*day + 12*hour, 6 * day, 7*day + 12*hour
	schedule := func(disabled string) func(*timeline) {
		return func(l *timeline) {
			for name, times := range map[string][]time.Duration{
				"QuarterAtNight": {2 * hour, 2*hour + 30*minute, 3*hour + 45*minute}, "Nightly": {2*hour + 15*minute}, "Weekly": {3*hour + 15*minute},
			} {
				for _, at := range times {
					if name != disabled {
						l.aws(ofRule(name), 1, 1, once(sunday+at))
					}
					if name != disabled && name != "Weekly" {
						l.aws(ofRule(name), 1, 1, once(sunday+day+at))
					}
				}
			}
			l.aws(ofRule("Outbox"), 1, 1, during{noon, tuesday, minute})
		}
	}
	return []trial{
		{name: "all run", begins: noon, feed: schedule("")},
		{name: "weekly disabled", pages: 1, begins: noon, feed: schedule("Weekly")},
		{name: "nightly disabled", pages: 2, begins: noon, feed: schedule("Nightly")},
		{name: "the frequent one at night disabled", pages: 2, begins: noon, feed: schedule("QuarterAtNight")},
		{name: "a fresh stage", begins: noon, feed: func(l *timeline) { l.aws(ofRule("Outbox"), 1, 1, during{sunday + 5*hour, sunday + 20*hour, minute}) }},
	}
}

func senderTrials() map[string][]trial {
	hourOf := during{hour, 2 * hour, minute}
	waiting := func(queue string, seconds float64) func(*timeline) {
		return func(l *timeline) {
			for _, group := range []string{"bus", "crm-eu", "jobs", "mail", "news"} {
				l.aws(ofQueue("send-"+group, "ApproximateAgeOfOldestMessage"), 5, 1, during{0, 3 * hour, minute})
			}
			l.aws(ofQueue("send-"+queue, "ApproximateAgeOfOldestMessage"), seconds, 1, hourOf)
		}
	}
	function := func(name string, when during) func(*timeline) {
		return func(l *timeline) { l.aws(ofFunction("sender", name), 1, 1, when) }
	}
	happens := func(what string, when during) func(*timeline) {
		return func(l *timeline) { l.happens(what, 1, when) }
	}
	age := func(days float64) func(*timeline) {
		return func(l *timeline) {
			l.aws(ofQueue("send-dead", "ApproximateAgeOfOldestMessage"), days*24*3600, 1, during{0, 2 * hour, minute})
		}
	}
	return map[string][]trial{
		"sender-errors": {
			{name: "crashes", pages: 1, feed: function("Errors", hourOf), ends: 3 * hour},
			{name: "throttled", pages: 1, feed: function("Throttles", hourOf), ends: 3 * hour},
			{name: "one", feed: function("Errors", once(hour)), ends: 3 * hour},
		},
		"history-errors": {
			{name: "for an hour", pages: 1, feed: func(l *timeline) { l.aws(ofFunction("history", "Errors"), 1, 1, hourOf) }, ends: 3 * hour},
			{name: "one", feed: func(l *timeline) { l.aws(ofFunction("history", "Errors"), 1, 1, once(hour)) }, ends: 3 * hour},
			{name: "many refusals", feed: func(l *timeline) { l.aws(ofFunction("history", "Throttles"), 50, 1, hourOf) }, ends: 3 * hour},
		},
		"deliveries-late":        {{name: "one group", pages: 1, feed: waiting("mail", 1000)}, {name: "none", feed: waiting("mail", 600)}},
		"destination-down":       {{name: "for two hours", pages: 1, feed: happens("destination down", hourOf), ends: 3 * hour}, {name: "it accepts", feed: happens("accepted by the destination", hourOf), ends: 3 * hour}},
		"destination-disabled":   {{name: "410", pages: 1, feed: happens("destination gone", once(hour)), ends: 3 * hour}, {name: "it accepts", feed: happens("accepted by the destination", hourOf), ends: 3 * hour}},
		"deliveries-dead":        letterTrials("send-dead"),
		"deliveries-dead-stay":   stayTrials("send-dead"),
		"deliveries-dead-expire": {{name: "three days", pages: 1, feed: age(3)}, {name: "two days", feed: age(2)}},
	}
}
