package rules

import (
	"fmt"
	"slices"
	"strings"
)

// place is what the packages of a folder may import besides the standard library.
type place struct {
	dir     string   // the folder and those below it without a place of their own
	ours    []string // our folders, with those below them
	only    bool     // only the standard library and ours
	sdk     bool     // the AWS SDK
	stripe  bool     // stripe-go
	testToo bool     // ours also limits test files
}

// places define the direction of imports: terms, rules on them, flows, adapters, and the
// packages that wire them.
func places() []place {
	terms := []string{"pkg/event", "pkg/limits", "pkg/members"}
	core := slices.Concat(terms, []string{"pkg/verify", "pkg/queue", "pkg/idempotency", "pkg/dispatch", "pkg/policy"})
	flows := slices.Concat(core, []string{"pkg/ingest", "pkg/consumer", "pkg/redrive", "pkg/reconcile", "pkg/registration", "pkg/outbox", "pkg/drift", "pkg/destination", "pkg/delivery", "pkg/history", "pkg/pause"})
	all := []string{"pkg", "infra"}
	return []place{
		{dir: "pkg/event", ours: []string{"pkg/members"}, only: true},
		{dir: "pkg/limits", only: true},
		{dir: "pkg/members", only: true},
		{dir: "pkg/failpoint", only: true},

		{dir: "pkg/verify", ours: terms, stripe: true},
		{dir: "pkg/queue", ours: terms},
		{dir: "pkg/idempotency", ours: terms},
		{dir: "pkg/idempotency/idempotencytest", ours: core},
		{dir: "pkg/dispatch", ours: terms},
		{dir: "pkg/policy", ours: terms},

		{dir: "pkg/ingest", ours: core},
		{dir: "pkg/consumer", ours: core},
		{dir: "pkg/redrive", ours: core},
		{dir: "pkg/replay", ours: core},
		{dir: "pkg/causes", ours: slices.Concat(core, []string{"pkg/redrive"}), only: true},
		{dir: "pkg/doctor", ours: slices.Concat(flows, []string{"pkg/stdwebhooks"})},
		{dir: "pkg/reconcile", ours: core},
		{dir: "pkg/pause", ours: slices.Concat(core, []string{"pkg/redrive", "pkg/reconcile"})},
		{dir: "pkg/registration", ours: core},
		{dir: "pkg/outbox", ours: core},
		{dir: "pkg/destination", ours: slices.Concat(terms, []string{"pkg/egress"}), only: true},
		{dir: "pkg/delivery", ours: slices.Concat(core, []string{"pkg/outbox", "pkg/destination", "pkg/failpoint"})},
		{dir: "pkg/history", ours: slices.Concat(core, []string{"pkg/outbox", "pkg/destination", "pkg/delivery"})},
		{dir: "pkg/delivery/deliverytest", ours: slices.Concat(core, []string{"pkg/outbox", "pkg/delivery"})},
		{dir: "pkg/drift", ours: slices.Concat(core, []string{"pkg/effect"})},
		{dir: "pkg/effect", ours: core}, // knows no type of stripe-go: any handler can use it
		{dir: "pkg/handlers", ours: slices.Concat(core, []string{"pkg/effect"}), stripe: true},
		{dir: "pkg/handlers/golden", only: true},
		{dir: "pkg/ledger", ours: slices.Concat(core, []string{"pkg/effect"}), only: true},
		{dir: "pkg/ledger/ledgertest", ours: []string{"pkg/ledger"}, only: true},

		{dir: "pkg/stdwebhooks", only: true},
		{dir: "pkg/egress"},
		{dir: "pkg/target/httptarget", ours: slices.Concat(core, []string{"pkg/outbox", "pkg/delivery", "pkg/stdwebhooks", "pkg/egress"})},

		{dir: "pkg/apigw", ours: flows},
		{dir: "pkg/sqsqueue", ours: flows, sdk: true},
		{dir: "pkg/dynamostore", ours: flows, sdk: true},
		{dir: "pkg/secrets", ours: slices.Concat(flows, []string{"pkg/stdwebhooks"}), sdk: true},
		{dir: "pkg/stripeapi", ours: flows, stripe: true},
		{dir: "pkg/config", ours: flows},
		{dir: "pkg/awsclient", ours: slices.Concat(terms, []string{"pkg/config"}), sdk: true},
		{dir: "pkg/telemetry", ours: terms},
		{dir: "pkg/target/awstarget", ours: slices.Concat(terms, []string{"pkg/delivery"}), sdk: true},
		{dir: "pkg/target/mail", ours: slices.Concat(terms, []string{"pkg/outbox", "pkg/delivery", "pkg/target/awstarget"}), sdk: true},

		// The embedded services import nothing of Tollgate, nor their clients.
		{dir: "pkg/local/aws", ours: []string{"pkg/local/aws", "pkg/failpoint"}, testToo: true},
		{dir: "pkg/local/aws/conformance", ours: []string{"pkg/local/aws"}, testToo: true, sdk: true},
		{dir: "pkg/local/lambdahost", ours: []string{"pkg/local"}, testToo: true, sdk: true},
		{dir: "pkg/local/gateway", ours: []string{"pkg/local"}, testToo: true, sdk: true},
		{dir: "pkg/local/eventsource", ours: []string{"pkg/local"}, testToo: true, sdk: true},
		{dir: "pkg/local/scenes"},
		{dir: "pkg/local/metrics", ours: slices.Concat(terms, []string{"pkg/telemetry"})},
		{dir: "pkg/local/stripe/stripemock", only: true},
		{dir: "pkg/local/stripe", ours: slices.Concat(terms, []string{"pkg/local/aws/boltfile", "pkg/local/aws/jsonscan"}), sdk: true, stripe: true},
		{dir: "pkg/local", ours: all, sdk: true, stripe: true},

		{dir: "pkg/console", only: true},
		{dir: "pkg/cmd", ours: all, sdk: true, stripe: true}, // tollgate send signs events
		{dir: "pkg/run", ours: all, sdk: true},
		// Ingest starts sooner without DynamoDB and the handlers.
		{dir: "pkg/run/runingest", ours: []string{"pkg/ingest", "pkg/apigw", "pkg/sqsqueue", "pkg/secrets", "pkg/config", "pkg/awsclient", "pkg/telemetry", "pkg/run/start"}, sdk: true},
		{dir: "functions", ours: all, sdk: true},
		{dir: "pkg/simulation", ours: all, sdk: true, stripe: true},
		{dir: "pkg/bench", ours: all, sdk: true, stripe: true},
		{dir: "infra", ours: []string{"pkg/limits", "pkg/config", "pkg/destination", "infra"}}, // config: it checks a stage file as the functions will,
		{dir: "pkg/rules", only: true, testToo: true},
	}
}

// placeOf returns the innermost place that contains dir.
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

// verbsAreApart: a package of verbs shares code with others through package verb alone. The
// console shows what all of them do, so it may import them.
func verbsAreApart(s *source) (violations []string) {
	const command = "pkg/cmd/tollgate/"
	for _, f := range s.files {
		if !strings.HasPrefix(f.dir, command) || f.test() || within(f.dir, command+"console") {
			continue
		}
		for _, spec := range f.syntax.Imports {
			path := strings.Trim(spec.Path.Value, `"`)
			if other, ours := strings.CutPrefix(path, s.module+"/"+command); ours && (other != "verb" || f.dir == command+"verb") {
				violations = append(violations, fmt.Sprintf("%s: %s may not import %s: move what both need to package verb or to a package of the domain", s.at(spec), f.dir, path))
			}
		}
	}
	return violations
}

// functionsLinkLittle: whatever a function links, it loads before its first event. Only the sender
// links clients of what it sends to.
func functionsLinkLittle(s *source) (violations []string) {
	local := []string{"pkg/local/metrics"} // with Prometheus' library
	targets := append(local, "pkg/target/awstarget", "pkg/target/mail", "pkg/target/httptarget")
	violations = linksNone(s, "sender", local)
	violations = append(violations, linksNone(s, "ingest", slices.Concat(targets, []string{"pkg/dispatch", "pkg/handlers", "pkg/dynamostore", "pkg/stripeapi"}))...)
	violations = append(violations, linksNone(s, "history", slices.Concat(targets, []string{"pkg/handlers", "pkg/stripeapi"}))...)
	violations = append(violations, linksNone(s, "consumer", targets)...)
	return append(violations, linksNone(s, "reconcile", targets)...)
}

func linksNone(s *source, function string, heavy []string) (violations []string) {
	linked := []string{"functions/" + function}
	for i := 0; i < len(linked); i++ {
		for _, f := range s.files {
			if f.dir != linked[i] || f.test() {
				continue
			}
			for _, path := range f.imports {
				dir, ours := strings.CutPrefix(path, s.module+"/")
				if !ours || slices.Contains(linked, dir) {
					continue
				}
				linked = append(linked, dir)
				if slices.Contains(heavy, dir) {
					violations = append(violations, fmt.Sprintf("%s: %s links %s through it: move what both need to a package of terms", f.path, function, dir))
				}
			}
		}
	}
	return violations
}

func importsPointOneWay(s *source) (violations []string) {
	for _, f := range s.files {
		p, ok := placeOf(f.dir)
		if !ok {
			violations = append(violations, fmt.Sprintf("%s: %s has no place: add it to places() in pkg/rules/imports_test.go", f.path, f.dir))
			continue
		}
		for _, spec := range f.syntax.Imports {
			dir, ours := strings.CutPrefix(strings.Trim(spec.Path.Value, `"`), s.module+"/")
			if !ours || within(dir, p.dir) || f.test() && !p.testToo {
				continue
			}
			if !slices.ContainsFunc(p.ours, func(o string) bool { return within(dir, o) }) {
				violations = append(violations, fmt.Sprintf("%s: %s may not import %s/%s: declare a small interface at the caller, and wire it in pkg/run or the command", s.at(spec), f.dir, s.module, dir))
			}
		}
	}
	return violations
}

// outsideImports limits third-party imports, except in tests.
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
				what = "may not import the AWS SDK: only the adapters, pkg/run, pkg/local and the command may"
			case f.dir != "pkg/local/metrics" && within(target, "github.com/prometheus"):
				what = "may not import Prometheus' library: only pkg/local/metrics may, which no function links"
			case within(target, "github.com/chromedp"):
				what = "may not import chromedp: only tests drive a browser"
			case !p.stripe && within(target, "github.com/stripe/stripe-go/v76"):
				what = "may not import stripe-go: only pkg/verify, pkg/stripeapi, pkg/handlers, pkg/cmd and pkg/local may"
			}
			if what != "" {
				violations = append(violations, fmt.Sprintf("%s: %s %s (%s)", s.at(spec), f.dir, what, target))
			}
		}
	}
	return violations
}
