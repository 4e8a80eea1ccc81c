package alarmtest

import "time"

func deliveryTrials() map[string][]trial {
	return map[string][]trial{
		"ingest-errors": {
			{name: "all fail of many", pages: 1, within: 5 * minute, begins: hour, feed: func(l *timeline) {
				l.deliveries(700, during{0, hour, minute})
				l.requests(700, 700, 0, during{hour, 2 * hour, minute})
			}},
			{name: "all fail from the midst of a period on", pages: 1, within: 5 * minute, begins: hour + 3*minute, feed: func(l *timeline) {
				l.deliveries(700, during{0, hour + 3*minute, minute})
				l.requests(700, 700, 0, during{hour + 3*minute, 2 * hour, minute})
			}},
			{name: "the only one fails", pages: 1, within: 5 * minute, begins: hour, feed: func(l *timeline) {
				l.requests(1, 1, 0, once(hour))
			}, ends: 2 * hour},
			{name: "one of a million", feed: func(l *timeline) {
				l.deliveries(700, during{0, day, minute})
				l.requests(1, 1, 0, once(5*hour))
			}},
			{name: "two causes", pages: 2, feed: func(l *timeline) {
				l.deliveries(10, during{0, 6 * hour, minute})
				l.requests(10, 10, 0, once(hour))
				l.requests(10, 10, 0, once(2*hour))
			}},
		},
		"ingest-throttles": {
			{name: "twice an hour", pages: 1, feed: func(l *timeline) {
				l.aws(ofFunction("ingest", "Throttles"), 1, 3, during{hour, 2 * hour, 30 * minute})
			}, ends: 3 * hour},
			{name: "once", feed: func(l *timeline) { l.aws(ofFunction("ingest", "Throttles"), 1, 3, once(hour)) }, ends: 3 * hour},
		},
		"api-errors": {
			{name: "all", pages: 1, begins: hour, within: 15 * minute, feed: func(l *timeline) {
				l.deliveries(1, during{0, hour, 5 * minute})
				l.requests(1, 1, 0, during{hour, 2 * hour, 5 * minute})
			}},
			{name: "one of a hundred", feed: func(l *timeline) {
				l.deliveries(100, during{0, 3 * hour, minute})
				l.requests(1, 1, 0, during{hour, 2 * hour, minute})
			}},
		},
		"api-throttled": {
			{name: "a stranger's flood", pages: 1, within: 5 * minute, begins: hour, feed: func(l *timeline) {
				l.deliveries(20, during{0, 2 * hour, minute})
				l.requests(30000, 0, 30000, during{hour, hour + 30*minute, minute})
			}},
			{name: "what AWS counts of it", pages: 1, within: 5 * minute, begins: hour, feed: func(l *timeline) {
				l.aws(key("Tollgate", "ApiThrottled", map[string]string{"stage": stageName}), 1, 40, during{hour, hour + 10*minute, minute})
			}, ends: 2 * hour},
			{name: "a scan for pages", feed: func(l *timeline) { l.requests(5000, 0, 5000, during{hour, 2 * hour, minute}) }},
			{name: "a moment", feed: func(l *timeline) {
				l.aws(key("Tollgate", "ApiThrottled", map[string]string{"stage": stageName}), 1, 4, once(hour))
			}, ends: 2 * hour},
		},
		"ingest-slow": {
			{name: "nearly the timeout", pages: 1, feed: func(l *timeline) {
				l.aws(ofFunction("ingest", "Duration"), 4500, 3, during{hour, hour + 10*minute, minute})
				l.aws(ofFunction("ingest", "Duration"), 40, 97, during{0, 2 * hour, minute})
			}},
			{name: "cold starts", feed: func(l *timeline) {
				l.aws(ofFunction("ingest", "Duration"), 4500, 3, once(hour))
				l.aws(ofFunction("ingest", "Duration"), 40, 97, during{0, 2 * hour, minute})
			}},
		},
		"secret-unusable": {
			{name: "at a fetch", pages: 1, feed: func(l *timeline) { l.happens("unusable secret", 1, once(hour)) }, ends: 2 * hour},
			{name: "deliveries", feed: func(l *timeline) { l.deliveries(10, during{0, hour, minute}) }},
		},
		"silence": {
			{name: "six hours", pages: 1, begins: 7 * hour, feed: func(l *timeline) { l.deliveries(1, during{0, 8 * hour, 30 * minute}) }, ends: 20 * hour},
			{name: "every other hour", begins: 8 * hour, feed: func(l *timeline) { l.deliveries(1, during{0, day, 2 * hour}) }},
			{name: "rejected alone", pages: 1, begins: 7 * hour, feed: func(l *timeline) {
				l.deliveries(1, during{0, 8 * hour, 30 * minute})
				l.rejected("no_match", 1, during{8 * hour, 20 * hour, minute})
			}},
		},
		"nothing-arrives": {
			{name: "an endpoint that Stripe has disabled", pages: 1, begins: 7 * hour, feed: func(l *timeline) {
				l.deliveries(1, during{0, 8 * hour, 30 * minute})
				l.happens("missed by default", 1, during{9 * hour, day, 15 * minute})
			}},
			{name: "a silent night", begins: 7 * hour, feed: func(l *timeline) { l.deliveries(1, during{0, 8 * hour, 30 * minute}) }, ends: day},
			{name: "some are missed", begins: 7 * hour, feed: func(l *timeline) {
				l.deliveries(1, during{0, day, 30 * minute})
				l.happens("missed by default", 1, during{9 * hour, day, 15 * minute})
			}},
		},
	}
}

// rejectionTrials are of a stage with 50 events a day, and of a busy one.
func rejectionTrials() map[string][]trial {
	const half = 30 * minute
	all := map[string][]trial{}
	for endpoint, suffix := range map[string]string{"default": "", "connect": " to connect"} {
		other, of := "no_match", ""
		if endpoint == "connect" {
			of = " of connect"
		}
		all["secret-mismatch-"+endpoint] = []trial{
			{name: "a rolled secret of a quiet stage", pages: 1, begins: 6 * hour, within: 3 * hour, feed: func(l *timeline) {
				l.happens("delivered"+suffix, 1, during{0, 6 * hour, half})
				l.happens(other+of, 1, during{6 * hour, 16 * hour, 10 * minute}) // with Stripe's retries
				l.happens("missed by "+endpoint, 1, during{6*hour + half, 16 * hour, half})
			}},
			{name: "a rolled secret of a busy stage", pages: 1, begins: 6 * hour, within: hour, feed: func(l *timeline) {
				l.happens("delivered"+suffix, 700, during{0, 6 * hour, minute})
				l.happens(other+of, 900, during{6 * hour, 12 * hour, minute})
				l.happens("missed by "+endpoint, 5, during{6*hour + half, 12 * hour, minute})
			}},
			{name: "one of two senders", pages: 1, begins: 6 * hour, feed: func(l *timeline) {
				l.happens("delivered"+suffix, 1, during{0, 20 * hour, half})
				l.happens(other+of, 1, during{6 * hour, 20 * hour, 20 * minute})
				l.happens("missed by "+endpoint, 1, during{6*hour + half, 20 * hour, half})
			}},
			{name: "rolled twice", pages: 2, begins: 3 * hour, feed: func(l *timeline) {
				l.happens("delivered"+suffix, 1, during{0, 30 * hour, half})
				for _, begin := range []time.Duration{6 * hour, 18 * hour} {
					l.happens(other+of, 1, during{begin, begin + 4*hour, 10 * minute})
					l.happens("missed by "+endpoint, 1, during{begin + half, begin + 4*hour, half})
				}
			}},
			{name: "a stranger alone", feed: func(l *timeline) {
				l.happens("delivered"+suffix, 1, during{0, day, half})
				l.happens(other+of, 500, during{hour, day, minute})
			}},
			{name: "a stranger in a silent night", feed: func(l *timeline) { l.happens(other+of, 500, during{hour, day, minute}) }},
			{name: "a stranger, and a lost delivery", feed: func(l *timeline) {
				l.happens("delivered"+suffix, 1, during{0, day, half})
				l.happens(other+of, 500, during{hour, day, minute})
				l.happens("missed by "+endpoint, 1, once(9*hour))
			}},
			{name: "missed without rejections", feed: func(l *timeline) {
				l.happens("delivered"+suffix, 1, during{0, day, half})
				l.happens("missed by "+endpoint, 1, during{hour, day, half})
			}},
			{name: "the other endpoint's secret", feed: func(l *timeline) {
				l.happens("delivered"+suffix, 1, during{0, day, half})
				mine, its := " of connect", "connect"
				if endpoint == "connect" {
					mine, its = "", "default"
				}
				l.happens("no_match"+mine, 1, during{6 * hour, day, 10 * minute})
				l.happens("missed by "+its, 1, during{6 * hour, day, half})
			}},
		}
	}
	rejected := []trial{
		{name: "a stranger alone", feed: func(l *timeline) {
			l.deliveries(1, during{0, day, half})
			l.rejected("endpoint", 100, during{hour, day, minute})
			l.requests(100, 0, 100, during{hour, day, minute}) // paths without a route
		}},
		{name: "signatures, which have their own alarm", feed: func(l *timeline) {
			l.rejected("no_match", 1, during{hour, day, 10 * minute})
			l.happens("missed by default", 1, during{2 * hour, day, half})
		}},
		{name: "a URL without a route", pages: 1, begins: 6 * hour, within: 3 * hour, feed: func(l *timeline) {
			l.deliveries(1, during{0, 6 * hour, half})
			l.aws(ofAPI("4xx"), 1, 1, during{6 * hour, 16 * hour, 10 * minute})
			l.happens("missed by default", 1, during{6*hour + half, 16 * hour, half})
		}},
	}
	for _, reason := range []string{"endpoint", "source", "future", "too_old", "media_type"} {
		rejected = append(rejected, trial{name: reason, pages: 1, begins: 6 * hour, within: 3 * hour, feed: func(l *timeline) {
			l.deliveries(1, during{0, 6 * hour, half})
			l.rejected(reason, 1, during{6 * hour, 16 * hour, 10 * minute})
			l.happens("missed by default", 1, during{6*hour + half, 16 * hour, half})
		}})
	}
	all["deliveries-rejected"] = rejected
	return all
}

func objectiveTrials() map[string][]trial {
	deliveries := func(failed float64, long time.Duration) func(*timeline) {
		return func(l *timeline) {
			l.deliveries(1000, during{0, day, minute})
			l.aws(ofAPI("5xx"), 1, failed, during{8 * hour, 8*hour + long, minute})
		}
	}
	events := func(late float64, long time.Duration) func(*timeline) {
		return func(l *timeline) {
			l.happens("done", 100, during{0, day, minute}, map[string]float64{"Age": 2000})
			l.happens("done", late, during{8 * hour, 8*hour + long, minute}, map[string]float64{"Age": 70_000})
		}
	}
	few := func(l *timeline) { // one of a quiet stage
		l.deliveries(1, during{0, day, 30 * minute})
		l.aws(ofAPI("5xx"), 1, 1, once(8*hour))
		l.happens("done", 1, during{0, day, 30 * minute}, map[string]float64{"Age": 2000})
		l.happens("done", 2, once(8*hour), map[string]float64{"Age": 3_000_000})
	}
	return map[string][]trial{
		"slo-accepted":      {{name: "2 %", pages: 1, feed: deliveries(20, 3*hour)}, {name: "1 %", feed: deliveries(10, 3*hour)}, {name: "a few", feed: few}},
		"slo-accepted-long": {{name: "1 %", pages: 1, feed: deliveries(10, 10*hour)}, {name: "0.1 %", feed: deliveries(1, 10*hour)}, {name: "a few", feed: few}},
		"slo-done":          {{name: "20 %", pages: 1, feed: events(25, 3*hour)}, {name: "10 %", feed: events(11, 3*hour)}, {name: "a few", feed: few}},
		"slo-done-long":     {{name: "10 %", pages: 1, feed: events(11, 10*hour)}, {name: "1 %", feed: events(1, 10*hour)}, {name: "a few", feed: few}},
	}
}
