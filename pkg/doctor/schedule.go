package doctor

import (
	"context"
	"slices"
)

// Rule is a rule of EventBridge that starts a function.
type Rule struct {
	Name    string
	Enabled bool
	Tasks   []string // that it starts: "quarter", "outbox"
}

// CheckSchedule checks that every task of reconcile has a rule and that all rules are enabled.
// rules reads those that start reconcile.
func CheckSchedule(rules func(ctx context.Context) ([]Rule, error)) Check {
	return func(ctx context.Context) []Finding {
		f := findings{name: "schedule"}
		all, err := rules(ctx)
		if err != nil {
			return unknown(f.name, err, "events:ListRuleNamesByTarget, DescribeRule and ListTargetsByRule, and lambda:GetFunctionConfiguration of reconcile")
		}
		for _, r := range all {
			if !r.Enabled {
				f.fail("aws events enable-rule --name "+r.Name, "the rule %s is disabled: it does not start %q", r.Name, r.Tasks)
			}
		}
		for _, task := range []string{"quarter", "nightly", "weekly", "outbox", "verify"} {
			if !slices.ContainsFunc(all, func(r Rule) bool { return slices.Contains(r.Tasks, task) }) {
				f.fail("aws cloudformation detect-stack-drift --stack-name STACK, then make the rule again", "no rule starts the task %s", task)
			}
		}
		return f.or("%d rules, all enabled", len(all))
	}
}
