package check

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"tollgate/pkg/limits"
)

// tasks are what the schedule asks of the reconcile function, each with when.
func tasks(l limits.Limits) map[string][]string {
	minutes := func(d time.Duration) string {
		if d == time.Minute {
			return "rate(1 minute)"
		}
		return fmt.Sprintf("rate(%v minutes)", d.Minutes())
	}
	return map[string][]string{
		"quarter": {fmt.Sprintf("cron(0/%v 0-1,4-23 * * ? *)", l.Reconcile.Quarter.Every.Minutes()), "cron(0,30,45 2-3 * * ? *)"}, "nightly": {"cron(15 2 * * ? *)"},
		"weekly": {"cron(15 3 ? * SUN *)"}, "outbox": {minutes(l.Reconcile.OutboxEvery)},
	}
}

// scheduleRuns sees that each task is asked for, at its time, by a rule that may.
func scheduleRuns(t Template, l limits.Limits) []string {
	var f faults
	var asked []string
	for _, name := range t.names(typeRule) {
		f.must(t.text(name, "State") == "ENABLED", name, "is %q", t.text(name, "State"))
		targets := items(t.at(name, "Targets"))
		if len(targets) != 1 || short(at(targets[0], "Arn")) != reconcile+".Arn" {
			f.must(false, name, "does not ask the reconcile function alone")
			continue
		}
		input := short(at(targets[0], "Input"))
		task := strings.TrimSuffix(strings.TrimPrefix(input, `{"task":"`), `"}`)
		when, known := tasks(l)[task]
		f.must(known, name, "asks for %s, which is no task", input)
		expression := t.text(name, "ScheduleExpression")
		f.must(!known || slices.Contains(when, expression), name, "asks at %s, not at %s", expression, strings.Join(when, " or "))
		asked = append(asked, task+" "+expression)
		may := slices.ContainsFunc(t.names(typePermission), func(p string) bool { return short(t.at(p, "SourceArn")) == name+".Arn" })
		f.must(may, name, "may not invoke what it asks")
	}
	for task, when := range tasks(l) {
		for _, expression := range when {
			f.must(slices.Contains(asked, task+" "+expression), reconcile, "is never invoked for %s at %s", task, expression)
		}
	}
	for _, name := range t.names(typeInvoke) {
		f.must(t.number(name, "MaximumRetryAttempts") == 0, name, "repeats a pass that failed, beside the schedule")
		f.must(t.number(name, "MaximumEventAgeInSeconds") > l.Reconcile.Timeout.Seconds(), name, "drops a task that waits for a long pass to end")
	}
	f.must(len(t.names(typeInvoke)) == 1, reconcile, "has no bound on repeated invocations")
	return f
}

// scheduled looks at a permission of the schedule: one rule of this template, for the one function.
func (f *faults) scheduled(t Template, name string) {
	rule, isArn := strings.CutSuffix(short(t.at(name, "SourceArn")), ".Arn")
	f.must(isArn && t.Resources[rule].Type == typeRule, name, "lets any rule invoke, not one of this stack")
	f.must(t.text(name, "Action") == "lambda:InvokeFunction" && short(t.at(name, "FunctionName")) == reconcile+".Arn", name,
		"allows %s on %s", t.text(name, "Action"), short(t.at(name, "FunctionName")))
}
