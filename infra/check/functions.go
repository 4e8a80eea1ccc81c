package check

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"tollgate/pkg/limits"
)

func functionsRun(t Template, _ limits.Limits) []string {
	var f faults
	roles := map[string]string{}
	for _, name := range t.names(typeFunction) {
		f.must(t.text(name, "Runtime") == "provided.al2023", name, "runtime %q has no bootstrap of ours", t.text(name, "Runtime"))
		f.must(short(t.at(name, "Architectures")) == `["arm64"]`, name, "architectures %s are not what make build builds for", short(t.at(name, "Architectures")))
		f.must(t.text(name, "Handler") == "bootstrap", name, "handler %q is not bootstrap", t.text(name, "Handler"))
		memory := t.number(name, "MemorySize")
		f.must(memory >= 128 && memory <= 256, name, "memory of %v MB is not 128 to 256", memory)
		role := short(t.at(name, "Role"))
		f.must(roles[role] == "", name, "shares its role with %s: their grants would add up", roles[role])
		roles[role] = name
	}
	for _, name := range []string{ingest, consumer, reconcile} {
		f.must(t.Resources[name].Type == typeFunction, name, "is no function")
	}
	return f
}

// environment is what each function is given; a reference's short form, or "" for any text.
func environment() map[string]map[string]string {
	return map[string]map[string]string{
		ingest: {
			"TOLLGATE_STAGE": "", "TOLLGATE_QUEUE_URL": queue, "TOLLGATE_WEBHOOK_SECRET_ID": webhookSecret,
		},
		consumer: {
			"TOLLGATE_STAGE": "", "TOLLGATE_QUEUE_URL": queue, "TOLLGATE_DLQ_URL": dead, "TOLLGATE_TABLE": table,
			"TOLLGATE_API_KEY_SECRET_ID": apiKey, "TOLLGATE_MAX_RECEIVES": "",
		},
		reconcile: {
			"TOLLGATE_STAGE": "", "TOLLGATE_QUEUE_URL": queue, "TOLLGATE_TABLE": table, "TOLLGATE_API_KEY_SECRET_ID": apiKey,
		},
	}
}

func functionsHaveEnvironment(t Template, _ limits.Limits) []string {
	var f faults
	optional := map[string][]string{
		"TOLLGATE_ALLOW_IPS": {ingest}, "TOLLGATE_ENDPOINTS": {consumer, reconcile}, "TOLLGATE_RECONCILE": {reconcile}, "TOLLGATE_BEGIN": {consumer, reconcile}, "TOLLGATE_HOLD_AFTER": {consumer},
	}
	for name, wanted := range environment() {
		variables, _ := t.at(name, "Environment", "Variables").(map[string]any)
		for variable, want := range wanted {
			got := short(variables[variable])
			f.must(variables[variable] != nil && (want == "" || got == want), name, "%s is %s, want %s", variable, got, want)
		}
		for variable, value := range variables {
			_, known := wanted[variable]
			f.must(known || slices.Contains(optional[variable], name), name, "%s is not a variable of the function", variable)
			f.must(!looksSecret(short(value)), name, "%s holds a secret for everyone who may see the function", variable)
		}
	}
	return f
}

// policiesAgree: reconcile must have the consumer's policies. Otherwise it sends again and
// again what the consumer excludes, or leaves out what the consumer takes.
func policiesAgree(t Template, _ limits.Limits) []string {
	var f faults
	for _, variable := range []string{"TOLLGATE_ENDPOINTS", "TOLLGATE_BEGIN"} {
		ours, theirs := short(t.at(reconcile, "Environment", "Variables", variable)), short(t.at(consumer, "Environment", "Variables", variable))
		f.must(ours == theirs, reconcile, "%s is %s, the consumer's is %s", variable, ours, theirs)
	}
	return f
}

func looksSecret(text string) bool {
	for _, prefix := range []string{"whsec_", "sk_", "rk_"} {
		if strings.Contains(text, prefix) {
			return true
		}
	}
	return false
}

// number is one property that the code depends on too.
type number struct {
	resource string
	path     []string
	want     float64
}

func numbers(l limits.Limits) []number {
	seconds := func(d time.Duration) float64 { return d.Seconds() }
	return []number{
		{ingest, []string{"Timeout"}, seconds(l.IngestTimeout)},
		{consumer, []string{"Timeout"}, seconds(l.ConsumerTimeout)},
		{reconcile, []string{"Timeout"}, seconds(l.Reconcile.Timeout)},
		{queue, []string{"VisibilityTimeout"}, seconds(l.Visibility)},
		{dead, []string{"VisibilityTimeout"}, seconds(l.Visibility)},
		{queue, []string{"MessageRetentionPeriod"}, seconds(l.SourceRetention)},
		{dead, []string{"MessageRetentionPeriod"}, seconds(l.DLQRetention)},
		{queue, []string{"MaximumMessageSize"}, limits.MaxQueueRequest},
		{dead, []string{"MaximumMessageSize"}, limits.MaxQueueRequest},
		{queue, []string{"RedrivePolicy", "maxReceiveCount"}, float64(l.MaxReceives)},
		{mapping, []string{"BatchSize"}, float64(l.BatchSize)},
		{mapping, []string{"MaximumBatchingWindowInSeconds"}, seconds(l.BatchWindow)},
	}
}

func numbersAreTheCodes(t Template, l limits.Limits) []string {
	var f faults
	for _, n := range numbers(l) {
		got := t.number(n.resource, n.path...)
		f.must(got == n.want, n.resource, "%s is %v, the code's is %v", strings.Join(n.path, "."), got, n.want)
	}
	told := t.text(consumer, "Environment", "Variables", "TOLLGATE_MAX_RECEIVES")
	f.must(told == strconv.Itoa(l.MaxReceives), consumer, "TOLLGATE_MAX_RECEIVES is %q, the code's is %d", told, l.MaxReceives)
	for name, want := range map[string]int{ingest: l.ReservedIngest, consumer: l.ReservedConsumer, reconcile: l.Reconcile.Reserved} {
		if t.at(name, "ReservedConcurrentExecutions") != nil {
			got := t.number(name, "ReservedConcurrentExecutions")
			f.must(got == float64(want), name, "reserved concurrency is %v, the code's is %d", got, want)
		}
	}
	reservedIngest, reservedConsumer := t.at(ingest, "ReservedConcurrentExecutions"), t.at(consumer, "ReservedConcurrentExecutions")
	f.must((reservedIngest == nil) == (reservedConsumer == nil), ingest, "has its concurrency reserved otherwise than %s", consumer)
	f.must((t.at(reconcile, "ReservedConcurrentExecutions") == nil) == (reservedConsumer == nil), reconcile, "has its concurrency reserved otherwise than %s", consumer)
	if reservedConsumer != nil {
		got := t.number(mapping, "ScalingConfig", "MaximumConcurrency")
		f.must(got == float64(l.MaxConcurrency), mapping, "MaximumConcurrency is %v, the code's is %d", got, l.MaxConcurrency)
	}
	return f
}

func logsEnd(t Template, _ limits.Limits) []string {
	var f faults
	for _, name := range t.names(typeLogGroup) {
		f.must(t.number(name, "RetentionInDays") > 0, name, "keeps its logs for ever")
	}
	for _, name := range t.names(typeFunction) {
		group := short(t.at(name, "LoggingConfig", "LogGroup"))
		f.must(t.Resources[group].Type == typeLogGroup, name, "logs into %s, which is no log group of this stack", group)
		levels := fmt.Sprint(t.text(name, "LoggingConfig", "LogFormat"), " ", t.text(name, "LoggingConfig", "ApplicationLogLevel"), " ", t.text(name, "LoggingConfig", "SystemLogLevel"))
		f.must(levels == "JSON INFO WARN", name, "log format and levels are %s, want JSON INFO WARN", levels)
	}
	return f
}
