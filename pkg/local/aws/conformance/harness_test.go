package conformance

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"
)

// inParallel is how many checks run at a time if -parallel does not say: most wait
// for a queue's clock, so they are many more than there are cores.
const inParallel = "48"

// expressionsFlag names the number of cases that TestExpressionsAgainstDynalite compares.
const expressionsFlag = "expressions"

func TestMain(m *testing.M) {
	flag.Int(expressionsFlag, 2000, "how many random expressions to compare with dynalite")
	flag.Parse()
	given := false // or fuzzing, where it is the number of processes
	flag.Visit(func(f *flag.Flag) {
		given = given || f.Name == "test.parallel" || f.Name == "test.fuzz" || f.Name == "test.fuzzworker"
	})
	if !given {
		if err := flag.Set("test.parallel", inParallel); err != nil {
			fmt.Fprintln(os.Stderr, "set the number of parallel checks:", err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// check is one documented rule and the code that sees whether it holds.
type check struct {
	name   string // service/area/what
	source string // the page of AWS's documentation
	rule   string // one sentence
	run    func(*probe)
}

func (c check) service() string {
	service, _, _ := strings.Cut(c.name, "/")
	return service
}

// allChecks lists every check of every service.
func allChecks() []check {
	return slices.Concat(
		tableChecks(), putChecks(), itemLimitChecks(), numberChecks(), updateChecks(), setActionChecks(), updateRefusalChecks(),
		deleteChecks(), getChecks(), conditionChecks(), functionChecks(), conditionRefusalChecks(),
		queryChecks(), keyConditionChecks(), scanChecks(), indexChecks(), batchChecks(),
		transactChecks(), transactLimitChecks(), ttlChecks(), raceChecks(), capacityChecks(),
		queueChecks(), queueAttributeChecks(), sendChecks(), messageLimitChecks(), attributeChecks(), receiveChecks(),
		visibilityChecks(), deleteMessageChecks(), queueBatchChecks(), deadLetterChecks(),
		secretChecks(),
	)
}

// deviation says why a target is known to fail a check.
type deviation struct {
	reason string // who is right by AWS's documentation, and how the target differs
	racy   bool   // the target passes at times: neither answer breaks the run
}

// probe is what a check works with: clients of one target, and its failures.
type probe struct {
	ctx     context.Context
	target  *target
	dynamo  *dynamodb.Client
	sqs     *sqs.Client
	secrets *secretsmanager.Client
	undo    []func(context.Context)
}

// failure ends a check; it travels as a panic from the helper that saw it to run.
type failure struct{ text string }

func (p *probe) failf(format string, args ...any) { panic(failure{fmt.Sprintf(format, args...)}) }

// ok ends the check if a call that must succeed did not.
func (p *probe) ok(err error, doing string) {
	if err != nil {
		p.failf("%s: %v", doing, err)
	}
}

// errOf is the error of a call whose answer the check does not read.
func errOf[T any](_ T, err error) error { return err }

// onTable gives a check a table with a string key pk.
func onTable(f func(p *probe, table string)) func(*probe) {
	return func(p *probe) { f(p, p.table()) }
}

// onQueue gives a check a queue with the defaults.
func onQueue(f func(p *probe, url string)) func(*probe) {
	return func(p *probe) { f(p, p.queue(nil)) }
}

// inFlight gives a check a queue and its one message, received and hidden for some seconds.
func inFlight(seconds int32, f func(p *probe, url string, m types.Message)) func(*probe) {
	return onQueue(func(p *probe, url string) {
		p.send(url, "x")
		f(p, url, p.takeOne(url, seconds))
	})
}

func (p *probe) equal(want, got any, what string) {
	if diff := cmp.Diff(want, got); diff != "" {
		p.failf("%s (-want +got):\n%s", what, diff)
	}
}

// refused ends the check unless err is an AWS error with one of the codes, separated by "|".
func (p *probe) refused(err error, codes, doing string) {
	if err == nil {
		p.failf("%s: accepted, want %s", doing, codes)
	}
	api, ok := errors.AsType[smithy.APIError](err)
	if !ok {
		p.failf("%s: %v, want %s", doing, err, codes)
	}
	// Some SQS codes have this prefix and some not; sqs/queue/error-codes alone looks at it.
	code := strings.TrimPrefix(api.ErrorCode(), sqsPrefix)
	if !slices.Contains(strings.Split(codes, "|"), code) {
		p.failf("%s: refused with %s (%s), want %s", doing, api.ErrorCode(), api.ErrorMessage(), codes)
	}
}

const sqsPrefix = "AWS.SimpleQueueService."

// refusedSaying also wants each of the texts in the error's message, in any case.
func (p *probe) refusedSaying(err error, code, doing string, texts ...string) {
	p.refused(err, code, doing)
	api, _ := errors.AsType[smithy.APIError](err)
	for _, text := range texts {
		if !strings.Contains(strings.ToLower(api.ErrorMessage()), strings.ToLower(text)) {
			p.failf("%s: message %q does not say %q", doing, api.ErrorMessage(), text)
		}
	}
}

// eventually polls until the condition holds, within the target's patience.
func (p *probe) eventually(what string, holds func() bool) {
	deadline := time.NewTimer(p.target.patience)
	defer deadline.Stop()
	tick := time.NewTicker(p.target.pollEvery)
	defer tick.Stop()
	for !holds() {
		select {
		case <-deadline.C:
			p.failf("not within %v: %s", p.target.patience, what)
		case <-p.ctx.Done():
			p.failf("not before the check's deadline: %s", what)
		case <-tick.C:
		}
	}
}

// atEnd runs f when the check is over, last first.
func (p *probe) atEnd(f func(context.Context)) { p.undo = append(p.undo, f) }

// unique makes a name that no other run uses.
func unique() string {
	var b [8]byte
	rand.Read(b[:])
	return "tollgate-conf-" + hex.EncodeToString(b[:])
}

// runCheck runs one check and returns its failure.
func runCheck(ctx context.Context, t *target, c check) (err error) {
	ctx, cancel := context.WithTimeout(ctx, 12*t.patience)
	defer cancel()
	p := t.probe(ctx)
	defer func() {
		switch r := recover().(type) {
		case nil:
		case failure:
			err = errors.New(r.text)
		default:
			panic(r)
		}
		cleanCtx, stop := context.WithTimeout(context.WithoutCancel(ctx), t.patience)
		defer stop()
		for _, f := range slices.Backward(p.undo) {
			f(cleanCtx)
		}
	}()
	c.run(p)
	return nil
}

// runChecks runs every check of the target's services as parallel subtests and
// holds the outcome against its table of deviations.
func runChecks(t *testing.T, target *target) {
	t.Helper()
	known := make(map[string]bool)
	for _, c := range allChecks() {
		if !slices.Contains(target.services, c.service()) {
			continue
		}
		known[c.name] = true
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			checkResult(t, target, c, runCheck(t.Context(), target, c))
		})
	}
	for name := range target.deviations {
		if !known[name] {
			t.Errorf("deviation for %q, which is not a check of this target", name)
		}
	}
}

func checkResult(t *testing.T, target *target, c check, err error) {
	t.Helper()
	d, listed := target.deviations[c.name]
	switch {
	case listed && err != nil:
		t.Logf("known deviation: %s\n%v", d.reason, err)
	case listed && !d.racy:
		t.Errorf("%s passes a check that is listed as a deviation (%s): take it off the list", target.name, d.reason)
	case err != nil && !listed:
		t.Errorf("%s does not hold for %s: %s (%s)\n%v", c.name, target.name, c.rule, c.source, err)
	}
}

func TestChecksAreWellNamed(t *testing.T) {
	seen := make(map[string]bool)
	for _, c := range allChecks() {
		if seen[c.name] {
			t.Errorf("two checks named %s", c.name)
		}
		seen[c.name] = true
		if strings.Count(c.name, "/") != 2 || c.source == "" || !strings.HasSuffix(c.rule, ".") || c.run == nil {
			t.Errorf("check %q needs a name of three parts, a source, a rule that is a sentence and code", c.name)
		}
	}
	if len(seen) < 120 {
		t.Errorf("%d checks, want at least 120", len(seen))
	}
}
