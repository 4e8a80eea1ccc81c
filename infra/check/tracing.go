package check

import "slices"

// traces reports whether a statement is what Lambda needs to write traces. X-Ray has no resources
// to limit it to.
func traces(statement any) bool {
	actions := texts(at(statement, "Action"))
	slices.Sort(actions)
	return short(at(statement, "Resource")) == "*" && at(statement, "NotAction") == nil && at(statement, "NotResource") == nil &&
		slices.Equal(actions, []string{"xray:PutTelemetryRecords", "xray:PutTraceSegments"})
}

// tracing: both functions on an event's way are traced or none is, and who is has the right to
// write: Lambda drops segments without an error.
func (c *checker) tracing() {
	for _, function := range c.names(typeFunction) {
		active := c.text(function, "TracingConfig.Mode") == "Active"
		granted := slices.ContainsFunc(c.statements(c.role(function)), traces)
		c.must(active == granted, function, "traced is %t, its right to write traces %t", active, granted)
	}
	c.must(c.text(ingest, "TracingConfig.Mode") == c.text(consumer, "TracingConfig.Mode"), consumer, "a trace ends or begins in the middle of an event's way")
}
