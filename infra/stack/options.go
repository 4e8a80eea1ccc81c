package stack

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/mail"
	"net/netip"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"tollgate/pkg/limits"
)

// Options say which system the stack makes. The zero value lacks a stage and bundles;
// [FromContext] gives a complete one.
type Options struct {
	Stage   string        // names the system: 1 to 20 of a-z, 0-9 and -
	Bundles string        // folder with <function>/bootstrap
	Limits  limits.Limits // limits.AWS() but in tests

	NoReserved   bool   // reserve no concurrency, for accounts that have too little
	LogDays      int    // how long logs are kept
	AlarmEmail   string // subscribed to the stack's own alarm topic
	AlarmTopic   string // ARN of a topic to use instead of an own one
	Endpoints    string // JSON, what each endpoint may receive; "" for everything
	Reconcile    string // JSON, endpoint by account to list; "" for the key's own account alone
	Begin        string // RFC 3339 time that replaces the begin of each account's history; "" for none
	HoldAfter    string // a duration: messages about older states are held; "" for the default
	AllowIPs     string // addresses and ranges that may deliver, by commas; "" for all
	SilenceHours int    // page after so many hours without an event; 0 for never
}

// Stages whose events are of one mode.
const (
	stageLive = "live"
	stageTest = "test"
)

// Keys are the context values that FromContext reads, each with what it may be.
func Keys() map[string]string {
	return map[string]string{
		"stage":         "test (the default), live, or another name of 1 to 20 of a-z, 0-9 and -",
		"reserved":      "on (the default), or off for an account with too little concurrency to reserve any",
		"log-days":      "how long logs are kept, in days that CloudWatch knows; default 30",
		"alarm-email":   "an address that the stack's alarm topic writes to",
		"alarm-topic":   "ARN of an SNS topic of the stack's Region to use instead of an own one",
		"endpoints":     `JSON such as {"default":{"livemode":[true]},"connect":{"accounts":["acct_…"]}}`,
		"reconcile":     `JSON, the accounts to compare with Stripe's list, each with its endpoint: {"-":"default","acct_…":"connect"}; default the key's own`,
		"begin":         "a time (RFC 3339) that replaces the begin of every account's history; default the begin in the table",
		"hold-after":    "a duration such as 36h, 1m to 87600h: messages about states that were older when their event was received are held; default 24h",
		"allow-ips":     "addresses and CIDR ranges that may deliver, between commas; default all",
		"silence-hours": "page after so many hours without an accepted event, 1 to 168, or off; default 24 for live, else off",
	}
}

// FromContext reads the options from CDK's context, in which get returns nil for a key
// that is not set. It reports every fault at once.
func FromContext(get func(key string) any, bundles string) (Options, error) {
	r := contextReader{get: get}
	o := Options{Stage: r.text("stage", stageTest), Bundles: bundles, Limits: limits.AWS()}
	r.must(validStage().MatchString(o.Stage), "stage", "%q", o.Stage)
	reserved := r.text("reserved", "on")
	r.must(reserved == "on" || reserved == "off", "reserved", "%q", reserved)
	o.NoReserved = reserved == "off"
	o.LogDays = r.number("log-days", "30", 0)
	r.must(slices.Contains(retentions(), o.LogDays), "log-days", "%d", o.LogDays)
	o.AlarmEmail, o.AlarmTopic = r.text("alarm-email", ""), r.text("alarm-topic", "")
	if o.AlarmEmail != "" {
		address, err := mail.ParseAddress(o.AlarmEmail)
		r.must(err == nil && address.Address == o.AlarmEmail, "alarm-email", "%q", o.AlarmEmail)
	}
	if o.AlarmTopic != "" {
		r.must(topicARN().MatchString(o.AlarmTopic), "alarm-topic", "%q", o.AlarmTopic)
		r.must(o.AlarmEmail == "", "alarm-topic", "set together with alarm-email: subscribe the address to that topic")
	}
	o.AllowIPs = r.text("allow-ips", "")
	r.must(validSources(o.AllowIPs), "allow-ips", "%q", o.AllowIPs)
	r.must(len(o.AllowIPs) <= maxVariable, "allow-ips", "%d bytes long, %d at most", len(o.AllowIPs), maxVariable)
	silence := "off"
	if o.Stage == stageLive {
		silence = "24"
	}
	if r.text("silence-hours", silence) != "off" {
		o.SilenceHours = r.number("silence-hours", silence, 1)
		r.must(o.SilenceHours <= 168, "silence-hours", "%d", o.SilenceHours)
	}
	endpoints, err := compactEndpoints(r.text("endpoints", "{}"), modesOf(o.Stage))
	r.must(err == nil, "endpoints", "%v", err)
	o.Endpoints = endpoints
	o.Reconcile, err = compactAccounts(r.text("reconcile", ""))
	r.must(err == nil, "reconcile", "%v", err)
	err = mapsToTakers(o.Reconcile, o.Endpoints)
	r.must(err == nil, "reconcile", "%v", err)
	o.Begin = r.text("begin", "")
	if o.Begin != "" {
		at, err := time.Parse(time.RFC3339, o.Begin)
		r.must(err == nil && at.Unix() > 0, "begin", "%q", o.Begin)
	}
	o.HoldAfter = r.text("hold-after", "")
	if o.HoldAfter != "" {
		after, err := time.ParseDuration(o.HoldAfter)
		r.must(err == nil && after >= time.Minute && after <= 87600*time.Hour, "hold-after", "%q", o.HoldAfter)
	}
	return o, errors.Join(r.faults...)
}

// modesOf lets a stage whose name is a mode receive that mode alone; nil is both.
func modesOf(stage string) *[]bool {
	switch stage {
	case stageLive:
		return &[]bool{true}
	case stageTest:
		return &[]bool{false}
	}
	return nil
}

func validStage() *regexp.Regexp { return regexp.MustCompile(`^[a-z0-9-]{1,20}$`) }

func topicARN() *regexp.Regexp {
	return regexp.MustCompile(`^arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]{1,256}$`)
}

// retentions are the days that CloudWatch Logs can keep a log.
func retentions() []int {
	return []int{1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653}
}

func validSources(list string) bool {
	for word := range strings.SplitSeq(list, ",") {
		word = strings.TrimSpace(word)
		_, addrErr := netip.ParseAddr(word)
		_, rangeErr := netip.ParsePrefix(word)
		if list != "" && addrErr != nil && rangeErr != nil {
			return false
		}
	}
	return true
}

// contextReader collects every fault.
type contextReader struct {
	get    func(key string) any
	faults []error
}

func (r *contextReader) must(ok bool, key, format string, args ...any) {
	if !ok {
		is := fmt.Sprintf(format, args...)
		r.faults = append(r.faults, fmt.Errorf("context %s is %s: it takes %s", key, is, Keys()[key]))
	}
}

// text returns a value as written on a command line; a file's may be JSON of any kind.
func (r *contextReader) text(key, missing string) string {
	switch v := r.get(key).(type) {
	case nil:
		return missing
	case string:
		// A variable that is not set gives an empty text: that it opens a door or pages
		// nobody must not go unseen.
		text := strings.TrimSpace(v)
		r.must(text != "", key, "empty")
		return cmp.Or(text, missing)
	default:
		raw, err := json.Marshal(v)
		r.must(err == nil, key, "no value")
		return string(raw)
	}
}

func (r *contextReader) number(key, missing string, low int) int {
	text := r.text(key, missing)
	n, err := strconv.Atoi(text)
	r.must(err == nil && n >= low, key, "%q", text)
	return n
}

// endpoint is one endpoint's policy as the consumer reads it.
type endpoint struct {
	Livemode   *[]bool   `json:"livemode,omitempty"`
	Accounts   *[]string `json:"accounts,omitempty"`
	OnMismatch *string   `json:"on_mismatch,omitempty"`
	From       *string   `json:"from,omitempty"`
}

// validTime reports whether an optional text is a time as functions read it.
func validTime(text *string) bool {
	if text == nil {
		return true
	}
	_, err := time.Parse(time.RFC3339, *text)
	return err == nil
}

// maxVariable leaves room in the 4 KB that Lambda gives a function's environment.
const maxVariable = 3 << 10

// defaultEndpoint is the name of the endpoint whose path names none.
const defaultEndpoint = "default"

// compactEndpoints refuses what would keep the consumer from starting, and gives every
// endpoint that names no modes, the default one included, those of the stage.
func compactEndpoints(text string, modes *[]bool) (string, error) {
	var all map[string]endpoint
	dec := json.NewDecoder(strings.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&all); err != nil || all == nil {
		return "", errors.New("not JSON of that form")
	}
	if _, err := dec.Token(); err != io.EOF {
		return "", errors.New("more than one JSON value")
	}
	if _, named := all[defaultEndpoint]; !named && modes != nil {
		all[defaultEndpoint] = endpoint{}
	}
	name := regexp.MustCompile(`^[a-z0-9-]{1,32}$`)
	for n, e := range all {
		if e.Livemode == nil {
			e.Livemode = modes
			all[n] = e
		}
		switch {
		case !name.MatchString(n):
			return "", fmt.Errorf("for an endpoint %q, which is not 1 to 32 of a-z, 0-9 and -", n)
		case e.Livemode != nil && len(*e.Livemode) == 0:
			return "", fmt.Errorf("an empty livemode for endpoint %q", n)
		case e.Accounts != nil && (len(*e.Accounts) == 0 || slices.Contains(*e.Accounts, "")):
			return "", fmt.Errorf("an empty account for endpoint %q", n)
		case e.OnMismatch != nil && *e.OnMismatch != "park" && *e.OnMismatch != "ignore":
			return "", fmt.Errorf("an on_mismatch for endpoint %q that is neither park nor ignore", n)
		case !validTime(e.From):
			return "", fmt.Errorf("a from for endpoint %q that is not an RFC 3339 time", n)
		}
	}
	if len(all) == 0 {
		return "", nil
	}
	compact, err := json.Marshal(all)
	if err == nil && len(compact) > maxVariable {
		err = fmt.Errorf("%d bytes long, %d at most", len(compact), maxVariable)
	}
	return string(compact), err
}

// compactAccounts refuses what would keep the reconcile function from starting.
func compactAccounts(text string) (string, error) {
	if text == "" {
		return "", nil
	}
	var all map[string]string
	if err := json.Unmarshal([]byte(text), &all); err != nil || len(all) == 0 {
		return "", errors.New("not JSON of that form")
	}
	name := regexp.MustCompile(`^[a-z0-9-]{1,32}$`)
	for account, endpoint := range all {
		switch {
		case account != "-" && !strings.HasPrefix(account, "acct_"):
			return "", fmt.Errorf("for an account %q, which is neither acct_… nor -", account)
		case !name.MatchString(endpoint):
			return "", fmt.Errorf("with an endpoint %q, which is not 1 to 32 of a-z, 0-9 and -", endpoint)
		}
	}
	compact, err := json.Marshal(all)
	if err == nil && len(compact) > maxVariable {
		err = fmt.Errorf("%d bytes long, %d at most", len(compact), maxVariable)
	}
	return string(compact), err
}

// bundle is the folder of one function's code.
func (o Options) bundle(function string) string { return filepath.Join(o.Bundles, function) }
