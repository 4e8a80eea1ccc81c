package stack

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/mail"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"tollgate/pkg/config"
	"tollgate/pkg/destination"
	"tollgate/pkg/limits"
)

// Options are what a stage file holds. [ReadStage] reads them; [New] checks them.
type Options struct {
	Stage   string        `json:"-"` // names the system: 1 to 20 of a-z, 0-9 and -
	Limits  limits.Limits `json:"-"` // limits.AWS() except in tests
	Version string        `json:"-"` // of the release; "dev" for none

	Reserved     bool                `json:"reserved"`
	LogDays      int                 `json:"log-days"`
	AlarmEmail   string              `json:"alarm-email"`
	AlarmTopic   string              `json:"alarm-topic"`
	Endpoints    map[string]Endpoint `json:"endpoints"`
	Reconcile    map[string]string   `json:"reconcile"`
	Begin        string              `json:"begin"`
	HoldAfter    string              `json:"hold-after"`
	AllowIPs     []string            `json:"allow-ips"`
	SilenceHours int                 `json:"silence-hours"`
	StripeRate   int                 `json:"stripe-rate"`
	Destinations json.RawMessage     `json:"destinations"`
	Domain       Domain              `json:"domain,omitzero"`
	Rollout      string              `json:"rollout,omitzero"`
	LogLevel     string              `json:"log-level,omitzero"`
	Boundary     string              `json:"permissions-boundary,omitzero"`
	Budget       int                 `json:"budget,omitzero"`
	Table        string              `json:"table,omitzero"`
	Key          string              `json:"key,omitzero"`
	Operators    []string            `json:"operators,omitzero"`
	EventMetrics bool                `json:"event-metrics,omitzero"`
	Tracing      bool                `json:"tracing,omitzero"`
	EventBridge  string              `json:"eventbridge,omitzero"`
	HoldBefore   string              `json:"hold-before,omitzero"`
	Backup       Backup              `json:"backup,omitzero"`
	Retention    Retention           `json:"retention,omitzero"`
}

// Endpoint is an endpoint's policy as package config reads it from TOLLGATE_ENDPOINTS.
type Endpoint struct {
	Livemode   []bool   `json:"livemode,omitzero"`
	Accounts   []string `json:"accounts,omitzero"`
	OnMismatch string   `json:"on_mismatch,omitzero"`
	From       string   `json:"from,omitzero"`
}

// Keys are the keys of a stage file, each with the values that it takes. A file has them all,
// except the [optional] ones.
func Keys() map[string]string {
	return map[string]string{
		"reserved":             "true, or false for an account with too little concurrency to reserve any",
		"log-days":             "the days that logs are kept: a number that CloudWatch Logs knows, such as 30",
		"destinations":         `where messages are sent, by name, as package destination reads them: {"crm": {"type": "http", "url": "https://…", "secret": "…", "messages": ["receipt"]}}, or {} for nowhere`,
		"alarm-email":          `an address that gets the alarms, or "" for none`,
		"alarm-topic":          `the ARN of an SNS topic in the stack's Region for the alarms, or "" for the stack's own topic`,
		"endpoints":            `each endpoint with its policy: {"default": {"livemode": [true]}, "connect": {"accounts": ["acct_…"]}}`,
		"reconcile":            `the accounts to compare with Stripe's list, each with its endpoint: {"-": "default", "acct_…": "connect"}; "-" is the API key's own account`,
		"begin":                `a time (RFC 3339) that overrides the start of every account's history, or "" for the start in the table`,
		"eventbridge":          `the name of Stripe's partner event bus, whose events go into the queue too: "aws.partner/stripe.com/ed_…"`,
		"tracing":              "true to have X-Ray trace some events through ingest and consumer: one a second, and 5 % of the others",
		"event-metrics":        "true to count done, failed and dead-lettered events, and time handlers, by event type too: up to four metrics for each type with a handler",
		"hold-after":           "a duration from 1m to 87600h, such as 24h: messages about states older than this when their event was received are held",
		"allow-ips":            `the addresses and CIDR ranges that may deliver: ["3.18.12.63"], or [] for all`,
		"stripe-rate":          "requests to Stripe a second to one resource of one account, 1 to 1000: 25 unless Stripe has raised the limit",
		"domain":               `a domain for the API, with a certificate of the stack's Region and the hosted zone that gets its record, if there is one: {"name": "hooks.example.com", "certificate": "arn:aws:acm:…", "zone": "Z…"}`,
		"budget":               "US dollars a month, 1 to 1000000: a message goes to the receiver of the alarms when the account costs more",
		"table":                "the name of an existing table to use, such as a restored one; later name another table, but never leave it out again: the stack would make a new, empty one, and events would be applied again",
		"backup":               `when AWS Backup backs the table up, and a vault of another account or Region that gets a copy: {"schedule": "daily", "copy-to": "arn:aws:backup:…:backup-vault:…"}; without copy-to there is none`,
		"hold-before":          "a time in the past (RFC 3339), the end of the table's restore: messages about states before it are held, as they may have been sent",
		"silence-hours":        "hours without an accepted event until the alarm, 1 to 168, or 0 for no alarm",
		"log-level":            "debug, info, warn or error: the least level of the functions' log lines, info without it; lines with metrics are always written",
		"rollout":              "canary: a deploy gives ingest's new version a tenth of the deliveries for ten minutes first, and goes back on an alarm; or all-at-once, the default",
		"permissions-boundary": "the ARN of an IAM policy that bounds every role of the stack",
		"retention":            `days that the table keeps a message after it was sent, 180 to 36500, and a fact, 400 to 36500: {"sent": 365, "facts": 3650}; what is left out is kept without end`,
		"key":                  "the ARN of a KMS key of the stack's account and Region that encrypts table, queues and secrets; leave it out for AWS's keys",
		"operators":            `who may send to the queues besides the functions, and erase customers: ARNs of IAM roles and users, with * and ? after the first character of a name: ["arn:aws:iam::123456789012:role/billing-*"]; leave it out for the account's users and single sign-on roles`,
	}
}

// optional are the keys that a file may leave out: what they add is off then.
func optional() []string {
	return []string{"backup", "budget", "domain", "event-metrics", "eventbridge", "hold-before", "key", "log-level", "operators", "permissions-boundary", "retention", "rollout", "table", "tracing"}
}

// stageTest is the stage whose events are all of the test mode.
const stageTest = "test"

// defaultEndpoint is the endpoint whose path has no name.
const defaultEndpoint = "default"

// maxVariable leaves room in the 4 KB that Lambda allows for a function's environment.
const maxVariable = 3 << 10

// ReadStage reads the options of a stage from dir/<stage>.json. Every key that is not optional
// must be there: a missing value would silently change what is deployed.
func ReadStage(dir, stage string) (Options, error) {
	o := Options{Stage: stage, Limits: limits.AWS(), Version: "dev"}
	name := filepath.Join(dir, stage+".json")
	raw, err := os.ReadFile(name)
	if errors.Is(err, os.ErrNotExist) {
		return o, fmt.Errorf("%s does not exist: copy %s and change its values", name, filepath.Join(dir, stageTest+".json"))
	}
	if err != nil {
		return o, fmt.Errorf("read stage: %w", err)
	}
	if err := o.decode(raw); err != nil {
		return o, fmt.Errorf("%s: %w", name, err)
	}
	return o, nil
}

func (o *Options) decode(raw []byte) error {
	all, err := members(raw)
	if err != nil {
		return err
	}
	var errs []error
	for _, key := range slices.Sorted(maps.Keys(all)) {
		if Keys()[key] == "" {
			errs = append(errs, fmt.Errorf("unknown key %q; keys are %s", key, strings.Join(slices.Sorted(maps.Keys(Keys())), ", ")))
		}
	}
	for _, key := range slices.Sorted(maps.Keys(Keys())) {
		if value := all[key]; (value == nil || string(value) == "null") && !slices.Contains(optional(), key) {
			errs = append(errs, fmt.Errorf("key %q is missing: write %s", key, Keys()[key]))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields() // of an endpoint
	err = dec.Decode(o)
	if typed, is := errors.AsType[*json.UnmarshalTypeError](err); is {
		key, _, _ := strings.Cut(typed.Field, ".")
		return fmt.Errorf("%s is a JSON %s: write %s", typed.Field, typed.Value, Keys()[key])
	}
	if err != nil {
		return err
	}
	o.addModes()
	return o.validate()
}

// members are those of a JSON object, each once: of two tables the last one would count.
func members(raw []byte) (map[string]json.RawMessage, error) {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(raw, &all); err != nil {
		return nil, err
	}
	dec, seen := json.NewDecoder(bytes.NewReader(raw)), map[any]bool{}
	for _, err := dec.Token(); err == nil && dec.More(); {
		key, _ := dec.Token()
		if seen[key] {
			return nil, fmt.Errorf("key %q is there twice", key)
		}
		seen[key] = true
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// addModes limits the endpoints without a livemode, and the default one, to the mode of a
// stage that is called so, or like production.
func (o *Options) addModes() {
	if !limits.Production(o.Stage) && o.Stage != stageTest {
		return
	}
	if _, named := o.Endpoints[defaultEndpoint]; !named {
		o.Endpoints[defaultEndpoint] = Endpoint{}
	}
	for name, e := range o.Endpoints {
		if e.Livemode == nil {
			e.Livemode = []bool{o.Stage != stageTest}
			o.Endpoints[name] = e
		}
	}
}

// faults collects what is wrong with options, by key.
type faults []error

func (f *faults) must(ok bool, key, format string, args ...any) {
	if !ok {
		*f = append(*f, fmt.Errorf("%s is %s: write %s", key, fmt.Sprintf(format, args...), Keys()[key]))
	}
}

func (o *Options) validate() error {
	var f faults
	if !validStage().MatchString(o.Stage) {
		f = append(f, fmt.Errorf("stage %q is not 1 to 20 of a-z, 0-9 and -", o.Stage))
	}
	if !validVersion().MatchString(o.Version) {
		f = append(f, fmt.Errorf("version %q is not 1 to 128 letters, digits and ._+-/@: set VERSION=…", o.Version))
	}
	f.must(slices.Contains(retentions(), o.LogDays), "log-days", "%d", o.LogDays)
	address, err := mail.ParseAddress(o.AlarmEmail)
	f.must(o.AlarmEmail == "" || err == nil && address.Address == o.AlarmEmail, "alarm-email", "%q", o.AlarmEmail)
	f.must(o.AlarmTopic == "" || topicARN().MatchString(o.AlarmTopic), "alarm-topic", "%q", o.AlarmTopic)
	f.must(o.AlarmTopic == "" || o.AlarmEmail == "", "alarm-topic", "set together with alarm-email: subscribe the address to that topic")
	for _, source := range o.AllowIPs {
		_, addressErr := netip.ParseAddr(source)
		_, rangeErr := netip.ParsePrefix(source)
		f.must(addressErr == nil || rangeErr == nil, "allow-ips", "%q", source)
	}
	size := len(o.allowIPs()) + len(strings.Join(o.endpointNames(), ","))
	f.must(size <= maxVariable, "allow-ips", "together with the endpoints' names %d bytes long, over %d", size, maxVariable)
	f.must(o.SilenceHours >= 0 && o.SilenceHours <= 168, "silence-hours", "%d", o.SilenceHours)
	f.must(o.StripeRate >= 1 && o.StripeRate <= 1000, "stripe-rate", "%d", o.StripeRate)
	f.must(o.EventBridge == "" || partnerBus().MatchString(o.EventBridge), "eventbridge", "%q", o.EventBridge)
	f.must(o.Domain == (Domain{}) || o.Domain.valid(), "domain", "%+v", o.Domain)
	f.must(o.Rollout == "" || o.Rollout == allAtOnce || o.Rollout == canary, "rollout", "%q", o.Rollout)
	_, known := config.LogLevel(o.LogLevel)
	f.must(known, "log-level", "%q", o.LogLevel)
	f.must(o.Boundary == "" || policyARN().MatchString(o.Boundary), "permissions-boundary", "%q", o.Boundary)
	f.must(o.Budget >= 0 && o.Budget <= 1_000_000, "budget", "%d", o.Budget)
	f.must(o.Budget == 0 || o.AlarmEmail != "" || o.AlarmTopic != "", "budget", "set without alarm-email or alarm-topic, which would be told")
	after, err := time.ParseDuration(o.HoldAfter)
	f.must(err == nil && after >= time.Minute && after <= 87600*time.Hour, "hold-after", "%q", o.HoldAfter)
	o.validateTable(&f)
	o.validateKey(&f)
	o.validateOperators(&f)
	if err := config.CheckReconcile(o.endpoints(), o.accounts(), o.Begin); err != nil {
		f = append(f, err) // the functions would not start
	}
	receivers, err := o.receivers()
	if err != nil {
		f = append(f, fmt.Errorf("check destinations: %w", err))
	}
	f.must(len(receivers.Groups()) <= maxGroups, "destinations", "in %d groups, over %d", len(receivers.Groups()), maxGroups)
	size = len(o.endpoints()) + len(o.accounts()) + len(o.destinations())
	f.must(size <= maxVariable, "reconcile", "together with endpoints and destinations %d bytes long, over %d", size, maxVariable)
	return errors.Join(f...)
}

// allowIPs, endpoints and accounts are the options as the functions' environment has them.
func (o *Options) allowIPs() string { return strings.Join(o.AllowIPs, ",") }

// endpointNames are the endpoints that the stage file names.
func (o *Options) endpointNames() []string {
	names := slices.AppendSeq(slices.Collect(maps.Keys(o.Endpoints)), maps.Values(o.Reconcile))
	slices.Sort(names)
	return slices.Compact(names)
}

func (o *Options) endpoints() string {
	if len(o.Endpoints) == 0 {
		return ""
	}
	return compact(o.Endpoints)
}

func (o *Options) accounts() string { return compact(o.Reconcile) }

// maxGroups is how many queues an alarm can watch, and how many a dead-letter queue can name.
const maxGroups = 10

// receivers are the destinations as the functions read them.
func (o *Options) receivers() (destination.Set, error) {
	all, err := destination.Parse(o.destinations(), destination.Deployed)
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if d := all[name]; d.Type == destination.SQS {
			if _, err := queueARN(d.Queue); err != nil {
				errs = append(errs, fmt.Errorf("destination %q: %w", name, err))
			}
		}
	}
	return all, errors.Join(errs...)
}

func (o *Options) destinations() string {
	if text := compact(o.Destinations); text != "{}" && text != "null" {
		return text
	}
	return ""
}

func compact(v any) string {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err) // maps of texts and flags, or JSON that was read
	}
	return string(raw)
}

func validStage() *regexp.Regexp { return regexp.MustCompile(`^[a-z0-9-]{1,20}$`) }

// validVersion matches what a tag's value can be.
func validVersion() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9._+/@-]{1,128}$`) }

func policyARN() *regexp.Regexp {
	return regexp.MustCompile(`^arn:aws[a-z-]*:iam::([0-9]{12}|aws):policy/[A-Za-z0-9+=,.@_/-]{1,512}$`)
}

func topicARN() *regexp.Regexp {
	return regexp.MustCompile(`^arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]{1,256}$`)
}

// retentions are the days that CloudWatch Logs can keep a log.
func retentions() []int {
	return []int{1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653}
}
