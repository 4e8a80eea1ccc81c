package alarmtest

import "time"

// during is a part of a timeline: each of its steps has values.
type during struct{ from, to, every time.Duration }

func once(at time.Duration) during { return during{at, at + 1, time.Minute} }

func (d during) minutes(do func(minute int)) {
	for at := d.from; at < d.to; at += d.every {
		do(int(at / time.Minute))
	}
}

// happens adds what the functions count when something happens n times. Values by name take the place
// of those of the line, such as an age.
func (l *timeline) happens(what string, n float64, when during, instead ...map[string]float64) {
	data := l.lines[what]
	if len(data) == 0 {
		panic("no line is known of " + what)
	}
	when.minutes(func(minute int) {
		for _, d := range data {
			v := d.value
			for _, other := range instead {
				if as, is := other[d.name]; is {
					v = as
				}
			}
			l.add(d.key, minute, value{v, n})
		}
	})
}

// aws adds n values of one of AWS's own metrics.
func (l *timeline) aws(metric string, v, n float64, when during) {
	when.minutes(func(minute int) { l.add(metric, minute, value{v, n}) })
}

func ofFunction(function, name string) string {
	return key("AWS/Lambda", name, map[string]string{"FunctionName": "tollgate-" + stageName + "-" + function})
}

func ofQueue(queue, name string) string {
	return key("AWS/SQS", name, map[string]string{"QueueName": "tollgate-" + stageName + "-" + queue})
}

func ofAPI(name string) string { return key("AWS/ApiGateway", name, map[string]string{"ApiId": "Api"}) }

func ofRule(name string) string {
	return key("AWS/Events", "Invocations", map[string]string{"RuleName": "Schedule" + name})
}

// deliveries are n accepted ones at each step, with what AWS counts of them.
func (l *timeline) deliveries(n float64, when during) {
	l.happens("delivered", n, when)
	l.requests(n, 0, 0, when)
}

// requests are n that reach ingest, of which some fail and the API refuses others with a 4xx.
func (l *timeline) requests(n, failed, refused float64, when during) {
	l.aws(ofFunction("ingest", "Invocations"), 1, n, when)
	l.aws(ofFunction("ingest", "Errors"), 1, failed, when)
	l.aws(ofFunction("ingest", "Errors"), 0, n-failed, when)
	l.aws(ofAPI("Count"), 1, n, when)
	l.aws(ofAPI("5xx"), 1, failed, when)
	l.aws(ofAPI("5xx"), 0, n-failed, when)
	l.aws(ofAPI("4xx"), 1, refused, when)
	l.aws(ofAPI("4xx"), 0, n-refused, when)
}

// rejected are n deliveries that ingest refuses.
func (l *timeline) rejected(what string, n float64, when during) {
	l.happens(what, n, when)
	l.requests(n, 0, n, when)
}

// letters are a queue's visible and hidden messages, a minute each.
func (l *timeline) letters(queue string, visible, hidden float64, when during) {
	when.every = time.Minute
	l.aws(ofQueue(queue, "ApproximateNumberOfMessagesVisible"), visible, 1, when)
	l.aws(ofQueue(queue, "ApproximateNumberOfMessagesNotVisible"), hidden, 1, when)
}
