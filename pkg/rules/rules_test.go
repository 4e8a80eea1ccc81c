// Package rules tests the rules about this repository's source: the direction of imports,
// the size of functions, package state. It only reads files.
//
// A rule returns its violations, each with its place and what to do about it. If a rule is
// wrong, change it here with the reason; do not work around it.
//
//	go test ./pkg/rules
package rules

import (
	"fmt"
	"strings"
	"testing"
)

// rule returns a line for each violation.
type rule func(*source) []string

func rules() map[string]rule {
	return map[string]rule{
		"imports point one way":             importsPointOneWay,
		"functions link little":             functionsLinkLittle,
		"verbs are apart":                   verbsAreApart,
		"imports from outside":              outsideImports,
		"one package comment":               onePackageComment,
		"functions fit a screen":            functionsFit,
		"files stay short":                  filesStayShort,
		"no init functions":                 noInit,
		"the environment has one reader":    environmentHasOneReader,
		"no mutable package state":          noMutableState,
		"no sleeping tests":                 noSleepingTests,
		"lines name their invocation":       linesNameTheirInvocation,
		"no unfinished work":                noUnfinishedWork,
		"plain words":                       plainWords,
		"no paths of a machine":             noMachinePaths,
		"no pipe that closes early":         noPipeThatCloses,
		"the top level has its known names": topLevelIsKnown,
	}
}

// TestRules applies every rule to the repository.
func TestRules(t *testing.T) {
	src, err := load("../..")
	if err != nil {
		t.Fatal(err)
	}
	if len(src.files) < 10 || len(src.texts) < len(src.files) {
		t.Fatalf("read only %d Go files and %d texts", len(src.files), len(src.texts))
	}
	for name, find := range rules() {
		t.Run(name, func(t *testing.T) {
			for _, violation := range find(src) {
				t.Error(violation)
			}
		})
	}
}

// TestRulesFind gives each rule a source that violates it, and one that just does not.
func TestRulesFind(t *testing.T) {
	long := func(lines int) string { return "package x\n\nfunc f() {" + strings.Repeat("\n", lines-1) + "}\n" }
	tests := []struct {
		rule string
		path string
		text string
		want string // part of the only violation; "" for none
	}{
		{"imports point one way", "pkg/event/x.go", `package event; import "tollgate/pkg/limits"`, "pkg/event/x.go:1: pkg/event may not import tollgate/pkg/limits"},
		{"imports point one way", "pkg/queue/x.go", `package queue; import "tollgate/pkg/event"`, ""},
		{"imports point one way", "pkg/queue/x.go", `package queue; import "tollgate/pkg/dispatch"`, "pkg/queue may not import tollgate/pkg/dispatch"},
		{"imports point one way", "pkg/queue/x_test.go", `package queue; import "tollgate/pkg/dispatch"`, ""},
		{"imports point one way", "pkg/sqsqueue/x.go", `package sqsqueue; import "tollgate/pkg/dynamostore"`, "may not import tollgate/pkg/dynamostore"},
		{"imports point one way", "pkg/local/aws/sqs/x_test.go", `package sqs; import "tollgate/pkg/limits"`, "may not import tollgate/pkg/limits"},
		{"imports point one way", "pkg/local/aws/sqs/x.go", `package sqs; import "tollgate/pkg/local/aws/awsjson"`, ""},
		{"imports point one way", "pkg/new/x.go", `package new`, "pkg/new has no place"},
		{"functions link little", "functions/ingest/x.go", `package main; import "tollgate/pkg/dispatch"`, "functions/ingest/x.go: ingest links pkg/dispatch through it"},
		{"functions link little", "functions/consumer/x.go", `package main; import "tollgate/pkg/dispatch"`, ""},
		{"functions link little", "functions/history/x.go", `package main; import "tollgate/pkg/handlers"`, "functions/history/x.go: history links pkg/handlers through it"},
		{"functions link little", "functions/consumer/x.go", `package main; import "tollgate/pkg/target/mail"`, "functions/consumer/x.go: consumer links pkg/target/mail through it"},
		{"functions link little", "functions/reconcile/x.go", `package main; import "tollgate/pkg/target/httptarget"`, "functions/reconcile/x.go: reconcile links pkg/target/httptarget through it"},
		{"functions link little", "functions/sender/x.go", `package main; import "tollgate/pkg/target/mail"`, ""},
		{"functions link little", "functions/sender/x.go", `package main; import "tollgate/pkg/local/metrics"`, "functions/sender/x.go: sender links pkg/local/metrics through it"},
		{"functions link little", "functions/reconcile/x.go", `package main; import "tollgate/pkg/local/metrics"`, "functions/reconcile/x.go: reconcile links pkg/local/metrics through it"},
		{"imports from outside", "pkg/limits/x.go", `package limits; import "pgregory.net/rapid"`, "pkg/limits may import the standard library only"},
		{"imports from outside", "pkg/limits/x_test.go", `package limits; import "pgregory.net/rapid"`, ""},
		{"imports from outside", "pkg/consumer/x.go", `package consumer; import "github.com/aws/aws-sdk-go-v2/service/sqs"`, "pkg/consumer may not import the AWS SDK"},
		{"imports from outside", "pkg/apigw/x.go", `package apigw; import "github.com/aws/aws-sdk-go-v2/aws"`, "pkg/apigw may not import the AWS SDK"},
		{"imports from outside", "pkg/apigw/x.go", `package apigw; import "github.com/aws/aws-lambda-go/events"`, ""},
		{"imports from outside", "pkg/local/aws/sqs/x.go", `package sqs; import "github.com/aws/smithy-go"`, "pkg/local/aws/sqs may not import the AWS SDK"},
		{"imports from outside", "functions/ingest/x.go", `package main; import "github.com/aws/aws-sdk-go-v2/service/sqs"`, ""},
		{"imports from outside", "pkg/telemetry/x.go", `package telemetry; import "github.com/prometheus/client_golang/prometheus"`, "pkg/telemetry may not import Prometheus' library"},
		{"imports from outside", "pkg/cmd/tollgate/x.go", `package main; import "github.com/chromedp/chromedp"`, "pkg/cmd/tollgate may not import chromedp"},
		{"imports from outside", "pkg/local/e2e/x_test.go", `package e2e; import "github.com/chromedp/chromedp"`, ""},
		{"imports from outside", "pkg/local/x.go", `package local; import "github.com/prometheus/client_golang/prometheus"`, "pkg/local may not import Prometheus' library"},
		{"imports from outside", "pkg/local/metrics/x.go", `package metrics; import "github.com/prometheus/client_golang/prometheus"`, ""},
		{"imports from outside", "pkg/dispatch/x.go", `package dispatch; import "github.com/stripe/stripe-go/v76"`, "pkg/dispatch may not import stripe-go"},
		{"imports from outside", "pkg/handlers/x.go", `package handlers; import "github.com/stripe/stripe-go/v76"`, ""},
		{"one package comment", "pkg/event/x.go", "package event\n", "pkg/event has 0 package comments"},
		{"one package comment", "pkg/event/x.go", "// Package event is.\npackage event\n", ""},
		{"one package comment", "pkg/event/x.go", "// It is.\npackage event\n", `pkg/event/x.go:1: a package comment starts with "Package event "`},
		{"functions fit a screen", "pkg/event/x.go", long(71), "pkg/event/x.go:3: f has 71 lines"},
		{"functions fit a screen", "pkg/event/x.go", long(70), ""},
		{"functions fit a screen", "pkg/event/x_test.go", strings.Replace(long(70), "{\n", "{ _ = []int{\n0,\n}\n", 1), ""},
		{"functions fit a screen", "pkg/event/x.go", strings.Replace(long(70), "{\n", "{ _ = []int{\n0,\n}\n", 1), "f has 72 lines"},
		{"files stay short", "pkg/event/x.go", long(500), "pkg/event/x.go has 502 lines"},
		{"files stay short", "pkg/event/x.go", long(498), ""},
		{"files stay short", "pkg/event/x_test.go", long(2000), ""},
		{"lines name their invocation", "pkg/secrets/x.go", "package secrets\nfunc f() { c.cfg.Logger.Warn(`a`) }", "pkg/secrets/x.go:2: Warn without a context"},
		{"lines name their invocation", "pkg/secrets/x.go", "package secrets\nfunc f() { log.Error(`a`) }", "pkg/secrets/x.go:2: Error without a context"},
		{"lines name their invocation", "pkg/secrets/x.go", "package secrets\nfunc f() { log.WarnContext(ctx, `a`); err.Error() }", ""},
		{"lines name their invocation", "pkg/secrets/x_test.go", "package secrets\nfunc f() { log.Error(`a`) }", ""},
		{"no init functions", "pkg/event/x.go", "package event\nfunc init() {}", "pkg/event/x.go:2: init runs"},
		{"no init functions", "pkg/event/x.go", "package event\ntype T int\nfunc (T) init() {}", ""},
		{"the environment has one reader", "pkg/event/x.go", "package event\nimport sys \"os\"\nvar _ = sys.Getenv(`A`)", "pkg/event/x.go:3: os.Getenv"},
		{"the environment has one reader", "pkg/event/x_test.go", "package event\nimport \"os\"\nvar _ = os.Getenv(`A`)", ""},
		{"the environment has one reader", "pkg/run/run.go", "package run\nimport \"os\"\nvar _ = os.LookupEnv", ""},
		{"no mutable package state", "pkg/event/x.go", "package event\nvar count int", "pkg/event/x.go:2: count is package state"},
		{"no mutable package state", "pkg/event/x.go", "package event\nimport \"errors\"\nvar ErrX = errors.New(`x`)", ""},
		{"no mutable package state", "pkg/event/x.go", "package event\nvar names = []string{`a`}\nfunc f() { names[0] = `b` }", "pkg/event/x.go:2: names is package state"},
		{"no mutable package state", "pkg/event/x.go", "package event\nvar names = []string{`a`}\nfunc f() string { return names[0] }", ""},
		{"no mutable package state", "pkg/event/x.go", "package event\nvar Names = []string{`a`}", "Names is package state"},
		{"no mutable package state", "pkg/event/x.go", "package event\nvar names = map[string]int{}\nfunc f() { delete(names, `a`) }", "names is package state"},
		{"no mutable package state", "pkg/event/x.go", "package event\nimport \"io\"\nvar _ io.Reader = T{}", ""},
		{"no mutable package state", "pkg/event/x.go", "package event\n\n//go:embed a.txt\nvar text string", ""},
		{"no sleeping tests", "pkg/event/x_test.go", "package event\nimport \"time\"\nfunc f() { time.Sleep(1) }", "pkg/event/x_test.go:3: a test sleeps"},
		{"no sleeping tests", "pkg/event/x_test.go", "package event\nimport (\"time\"; \"testing/synctest\")\nfunc f() { synctest.Test(nil, func() { time.Sleep(1) }) }", ""},
		{"no unfinished work", "pkg/event/x.go", "package event\n// TO" + "DO: more", "pkg/event/x.go:2: "},
		{"no unfinished work", "pkg/event/x.go", "package event\nconst todo = `TO" + "DO`", ""},
		{"no unfinished work", "Makefile", "x: # FIX" + "ME", "Makefile:1: "},
		{"plain words", "pkg/event/x.go", "package event\n// It waits for " + "ever.", `pkg/event/x.go:2: "for ` + `ever": write "indefinitely"`},
		{"plain words", "pkg/event/x.go", "package event\n\nconst a = `a stand" + "-in`", `pkg/event/x.go:3: "stand` + `-in"`},
		{"plain words", "README.md", "It runs forever.\nWhat came" + " of it", `README.md:2: "came` + ` of": write "the outcome of"`},
		{"no paths of a machine", "testdata/x.json", "{\"a\": \"/ho" + "me/me/x\"}", "testdata/x.json:1: "},
		{"no paths of a machine", "README.md", "see /home-made and https://example.com/home/x", ""},
		{"no pipe that closes early", ".ci/run", "make --version | head -n 1", ".ci/run:1: \"| head\" stops reading early"},
		{"no pipe that closes early", "pkg/x/a.sh", "x\na 2>&1 | grep -iq b", "pkg/x/a.sh:2: "},
		{"no pipe that closes early", "Makefile", "x:\n\ta | sed 1q", "Makefile:2: "},
		{"no pipe that closes early", "Makefile", "x:\n\t{ grep -q a file; } | grep -c b | sed -n 1p", ""},
		{"no pipe that closes early", "README.md", "tollgate dlq list | head", ""},
		{"the top level has its known names", "pkg/event/x.go", "package event", ""},
		{"the top level has its known names", "internal/x.go", "package internal", "internal is at the top"},
		{"the top level has its known names", "dlq-purge-20261128T120000Z.jsonl", "{}", ""},
		{"the top level has its known names", "dlq.jsonl", "{}", "dlq.jsonl is at the top"},
	}
	for i, tt := range tests {
		t.Run(fmt.Sprintf("%s/%d", tt.rule, i), func(t *testing.T) {
			src, err := newSource()
			if err != nil {
				t.Fatal(err)
			}
			if err := src.add(tt.path, []byte(tt.text)); err != nil {
				t.Fatal(err)
			}
			got := rules()[tt.rule](src)
			switch {
			case tt.want == "" && len(got) != 0:
				t.Errorf("found %q in a valid source", got)
			case tt.want != "" && (len(got) != 1 || !strings.Contains(got[0], tt.want)):
				t.Errorf("found %q, want one with %q", got, tt.want)
			}
		})
	}
}
