// Package check states what must hold in a template of Tollgate, each as a named check
// that a broken template makes fail with the name of the resource.
//
// It reads templates as CloudFormation does, from JSON; it knows no CDK and no account.
//
//	template, err := check.Parse(raw)
//	err = check.Run(template, limits.AWS())
package check

import (
	"errors"
	"fmt"

	"tollgate/pkg/limits"
)

// Check is one thing that must hold.
type Check struct {
	Name string
	// Find returns one line for each violation, which starts with the resource's name.
	Find func(Template, limits.Limits) []string
}

// All returns every check.
func All() []Check {
	return []Check{
		{"functions run what make build makes", functionsRun},
		{"functions have their environment", functionsHaveEnvironment},
		{"reconcile and the consumer have one policy", policiesAgree},
		{"numbers are the code's", numbersAreTheCodes},
		{"logs end", logsEnd},
		{"a batch fails in part", batchFailsInPart},
		{"the mapping stays under what is reserved", mappingStaysUnder},
		{"visibility outlasts retries", visibilityOutlasts},
		{"dead letters outlive the queue's messages", deadLettersOutlive},
		{"dead letters go one way", deadLettersGoOneWay},
		{"queues are sealed", queuesAreSealed},
		{"nobody else may", nobodyElseMay},
		{"actions are named", actionsAreNamed},
		{"nobody deletes items", nobodyDeletesItems},
		{"grants are the known ones", grantsAreKnown},
		{"the table keeps", tableKeeps},
		{"secrets are empty and kept", secretsAreEmpty},
		{"the schedule runs reconcile", scheduleRuns},
		{"the API lets two routes in", apiLetsIn},
		{"the access log has nothing of the sender's", accessLogIsClean},
		{"alarms act", alarmsAct},
		{"alarms are all there", alarmsAreThere},
		{"metrics are counted", metricsAreCounted},
		{"alarms watch what is here", alarmsWatch},
		{"alarms can page", alarmsPage},
		{"outputs have their names", outputsHaveNames},
		{"resources are tagged", resourcesAreTagged},
	}
}

// Run reports everything that does not hold, each under its check's name.
func Run(t Template, l limits.Limits) error {
	var errs []error
	for _, c := range All() {
		for _, violation := range c.Find(t, l) {
			errs = append(errs, fmt.Errorf("%s: %s", c.Name, violation))
		}
	}
	return errors.Join(errs...)
}

// faults collects violations.
type faults []string

func (f *faults) must(ok bool, resource, format string, args ...any) {
	if !ok {
		*f = append(*f, resource+": "+fmt.Sprintf(format, args...))
	}
}
