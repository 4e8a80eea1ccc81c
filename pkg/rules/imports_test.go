package rules

import (
	"fmt"
	"slices"
	"strings"
)

// place says what the packages of one folder may import beside the standard library.
type place struct {
	dir     string   // this folder and all under it that have no place of their own
	ours    []string // folders of ours; anything below them too
	only    bool     // the standard library and ours, nothing from outside
	sdk     bool     // the AWS SDK
	stripe  bool     // stripe-go
	testToo bool     // ours holds for test files as well
}

// places is the one direction in which imports point: words, then the laws that use
// them, then the flows, then the adapters, then what wires them all.
func places() []place {
	words := []string{"pkg/event", "pkg/limits"}
	laws := slices.Concat(words, []string{"pkg/verify", "pkg/queue", "pkg/idempotency", "pkg/dispatch", "pkg/policy"})
	flows := slices.Concat(laws, []string{"pkg/ingest", "pkg/consumer", "pkg/redrive", "pkg/reconcile", "pkg/registration", "pkg/outbox"})
	all := []string{"pkg", "infra"}
	return []place{
		{dir: "pkg/event", only: true},
		{dir: "pkg/limits", only: true},
		{dir: "pkg/failpoint", only: true},

		{dir: "pkg/verify", ours: words, stripe: true},
		{dir: "pkg/queue", ours: words},
		{dir: "pkg/idempotency", ours: words},
		{dir: "pkg/idempotency/idempotencytest", ours: laws},
		{dir: "pkg/dispatch", ours: words},
		{dir: "pkg/policy", ours: words},

		{dir: "pkg/ingest", ours: laws},
		{dir: "pkg/consumer", ours: laws},
		{dir: "pkg/redrive", ours: laws},
		{dir: "pkg/replay", ours: laws},
		{dir: "pkg/doctor", ours: flows},
		{dir: "pkg/reconcile", ours: laws},
		{dir: "pkg/registration", ours: laws},
		{dir: "pkg/outbox", ours: laws},
		{dir: "pkg/effect", ours: laws}, // knows no type of stripe-go: any handler can use it
		{dir: "pkg/handlers", ours: slices.Concat(laws, []string{"pkg/effect"}), stripe: true},
		{dir: "pkg/handlers/golden", only: true},
		{dir: "pkg/ledger", ours: slices.Concat(laws, []string{"pkg/effect"}), only: true},
		{dir: "pkg/ledger/ledgertest", ours: []string{"pkg/ledger"}, only: true},

		{dir: "pkg/apigw", ours: flows},
		{dir: "pkg/sqsqueue", ours: flows, sdk: true},
		{dir: "pkg/dynamostore", ours: flows, sdk: true},
		{dir: "pkg/secrets", ours: flows, sdk: true},
		{dir: "pkg/stripeapi", ours: flows, stripe: true},
		{dir: "pkg/config", ours: flows},
		{dir: "pkg/awsclient", ours: slices.Concat(words, []string{"pkg/config"}), sdk: true},
		{dir: "pkg/telemetry", ours: words},

		// The embedded services know nothing of Tollgate, and not the client they are for.
		{dir: "pkg/local/aws", ours: []string{"pkg/local/aws", "pkg/failpoint"}, testToo: true},
		{dir: "pkg/local/aws/conformance", ours: []string{"pkg/local/aws"}, testToo: true, sdk: true},
		{dir: "pkg/local/lambdahost", ours: []string{"pkg/local"}, testToo: true, sdk: true},
		{dir: "pkg/local/gateway", ours: []string{"pkg/local"}, testToo: true, sdk: true},
		{dir: "pkg/local/eventsource", ours: []string{"pkg/local"}, testToo: true, sdk: true},
		{dir: "pkg/local/scenes"},
		{dir: "pkg/local/stripe/stripemock", only: true},
		{dir: "pkg/local/stripe", ours: slices.Concat(words, []string{"pkg/local/aws/boltfile"}), sdk: true, stripe: true},
		{dir: "pkg/local", ours: all, sdk: true, stripe: true},

		{dir: "pkg/cmd", ours: all, sdk: true, stripe: true}, // it signs what it sends
		{dir: "pkg/run", ours: all, sdk: true},
		{dir: "functions", ours: all, sdk: true},
		{dir: "pkg/simulation", ours: all, sdk: true, stripe: true},
		{dir: "infra", ours: []string{"pkg/limits", "pkg/config", "infra"}}, // config: it checks a stage file as the functions will,
		{dir: "pkg/rules", only: true, testToo: true},
	}
}

// placeOf returns the nearest place around dir.
func placeOf(dir string) (place, bool) {
	var best place
	for _, p := range places() {
		if within(dir, p.dir) && len(p.dir) > len(best.dir) {
			best = p
		}
	}
	return best, best.dir != ""
}

func within(dir, folder string) bool { return dir == folder || strings.HasPrefix(dir, folder+"/") }

func importsPointOneWay(s *source) (violations []string) {
	for _, f := range s.files {
		p, ok := placeOf(f.dir)
		if !ok {
			violations = append(violations, fmt.Sprintf("%s: %s has no place: put its imports into places() in pkg/rules/imports_test.go", f.path, f.dir))
			continue
		}
		for _, spec := range f.syntax.Imports {
			dir, ours := strings.CutPrefix(strings.Trim(spec.Path.Value, `"`), s.module+"/")
			if !ours || within(dir, p.dir) || f.test() && !p.testToo {
				continue
			}
			if !slices.ContainsFunc(p.ours, func(o string) bool { return within(dir, o) }) {
				violations = append(violations, fmt.Sprintf("%s: %s may not import %s/%s: declare a small interface where it is called and let a main wire it", s.at(spec), f.dir, s.module, dir))
			}
		}
	}
	return violations
}

// outsideImports holds for what is built into the functions and the command, not for tests.
func outsideImports(s *source) (violations []string) {
	for _, f := range s.files {
		p, ok := placeOf(f.dir)
		if !ok || f.test() {
			continue
		}
		for _, spec := range f.syntax.Imports {
			target := strings.Trim(spec.Path.Value, `"`)
			first, _, _ := strings.Cut(target, "/")
			what := ""
			switch {
			case !strings.Contains(first, ".") || within(target, s.module):
			case p.only:
				what = "may import the standard library only: move what needs more into an adapter"
			case !p.sdk && (within(target, "github.com/aws/aws-sdk-go-v2") || within(target, "github.com/aws/smithy-go")):
				what = "may not import the AWS SDK: it stays in the adapters, pkg/local and the mains"
			case !p.stripe && within(target, "github.com/stripe/stripe-go/v76"):
				what = "may not import stripe-go: it stays in pkg/verify, pkg/stripeapi, pkg/handlers, pkg/cmd and pkg/local"
			}
			if what != "" {
				violations = append(violations, fmt.Sprintf("%s: %s %s (%s)", s.at(spec), f.dir, what, target))
			}
		}
	}
	return violations
}
