package check

import (
	"strings"

	"tollgate/pkg/destination"
)

// historyAnswers is the function that receivers ask.
const historyAnswers = "History"

// hasHistory reports whether a destination with a history has a queue.
func (c *checker) hasHistory(queue string) bool {
	all, _ := destination.Parse(c.text(sender, variable+"DESTINATIONS"), destination.Deployed)
	for _, d := range all {
		if d.History && queue == sendQueue+strings.ReplaceAll(d.Group, "-", "X") {
			return true
		}
	}
	return false
}

// histories: receivers are answered if and only if a destination has a history, from the table and the
// queues that the sender has, and cannot use up the API's throttle.
func (c *checker) histories() {
	there := c.Resources[historyAnswers].Type != ""
	all, _ := destination.Parse(c.text(sender, variable+"DESTINATIONS"), destination.Deployed) // see sends
	c.must(there == all.HasHistory(), historyAnswers, "is there: %t, destinations have a history: %t", there, all.HasHistory())
	if !there {
		return
	}
	for _, v := range []string{"DESTINATIONS", "SEND_DLQ_URL", "TABLE"} {
		c.must(c.text(historyAnswers, variable+v) == c.text(sender, variable+v), historyAnswers, "%s differs from the sender's", v)
	}
	settings, _ := c.at("ApiStage", "RouteSettings").(map[string]any)
	rate := c.number("ApiStage", "DefaultRouteSettings.ThrottlingRateLimit")
	for _, name := range c.names("AWS::ApiGatewayV2::Route") {
		route := c.text(name, "RouteKey")
		if !strings.Contains(route, " /deliveries") {
			continue
		}
		limit, _ := at(settings[route], "ThrottlingRateLimit").(float64)
		c.must(limit > 0 && limit <= rate/10, name, "may use %v of the %v requests a second of all", limit, rate)
	}
}

// throttled is the pattern of the 429s that matter to Stripe's deliveries.
func (c *checker) throttled() string {
	pattern := `{ $.status = "429"`
	for _, route := range []string{"HistoryRoute", "RetryRoute"} {
		if key := c.text(route, "RouteKey"); key != "" {
			pattern += ` && $.route != "` + key + `"`
		}
	}
	return pattern + " }"
}
