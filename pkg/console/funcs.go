package console

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"math"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// Funcs are the functions of templates. All escape what they are given.
//
//	time T      a time (time.Time, RFC 3339 string or *string): the viewer's zone, UTC in the title
//	ago T       the same, as "3 min ago"
//	dur D       a duration
//	count N     a number with thousands
//	bytes N     a size
//	money N CUR an amount in the currency's smallest unit, as Stripe gives it
//	badge S     a status
//	tone S      its tone: ok, info, warn, bad or mute
//	event ID    a link to the event; customer ID to the customer
//	command S   a command line with a button to copy it
//	plot P      a [Plot]
//	dict K V …  a map, for templates with several arguments
//	list V …    a list
//	stamp T     a time as RFC 3339, for an address
//	pretty S    JSON with an indent, or the text
//	last L      the index of a list's last entry
//	live NAME . a block with live updates; . is the page's data
//	token       the hidden field of a form that changes something
//	readonly    whether changes are refused
func Funcs() template.FuncMap {
	needsServer := func(...any) (string, error) { return "", errors.New("only a console's pages have this function") }
	return template.FuncMap{
		"time": timeTag(""), "ago": timeTag(" data-ago"), "dur": Duration, "count": count, "bytes": size, "money": Money,
		"badge": badge, "tone": Tone, "event": link("/events/", "event"), "customer": link("/customers/", "customer"),
		"command": command, "plot": Plot.HTML, "dict": dict, "list": func(values ...any) []any { return values }, "stamp": stamp, "pretty": pretty, "last": func(list any) int { return reflect.ValueOf(list).Len() - 1 },
		"live": needsServer, "token": needsServer, "readonly": needsServer,
	}
}

// timeTag makes a <time> that the script shows in the viewer's zone.
func timeTag(attribute string) func(any) template.HTML {
	return func(v any) template.HTML {
		t, ok := asTime(v)
		if !ok || t.IsZero() || t.Unix() == 0 {
			return `<span class="none">–</span>`
		}
		t = t.UTC()
		text := t.Format("2006-01-02 15:04:05")
		return template.HTML(`<time datetime="` + t.Format(time.RFC3339Nano) + `" title="` + text + ` UTC"` + attribute + `>` + text + ` UTC</time>`)
	}
}

func stamp(v any) string {
	t, ok := asTime(v)
	if !ok || t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

func asTime(v any) (time.Time, bool) {
	switch v := v.(type) {
	case time.Time:
		return v, true
	case *time.Time:
		if v == nil {
			return time.Time{}, true
		}
		return *v, true
	case *string:
		if v == nil {
			return time.Time{}, true
		}
		return asTime(*v)
	case string:
		t, err := time.Parse(time.RFC3339Nano, v)
		return t, err == nil
	case int64:
		return time.Unix(v, 0), true
	}
	return time.Time{}, false
}

// Duration formats a duration with two units at most: 1.2 s, 3 min 20 s, 2 d 4 h.
func Duration(d time.Duration) string {
	abs := d.Abs()
	two := func(big, small time.Duration, bigName, smallName string) string {
		text := fmt.Sprintf("%d %s", d/big, bigName)
		if rest := (abs % big) / small; rest > 0 {
			text += fmt.Sprintf(" %d %s", rest, smallName)
		}
		return text
	}
	switch {
	case abs < time.Millisecond:
		return fmt.Sprintf("%d µs", d.Microseconds())
	case abs < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case abs < 10*time.Second:
		return strconv.FormatFloat(d.Seconds(), 'f', 1, 64) + " s"
	case abs < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case abs < time.Hour:
		return two(time.Minute, time.Second, "min", "s")
	case abs < 24*time.Hour:
		return two(time.Hour, time.Minute, "h", "min")
	default:
		return two(24*time.Hour, time.Hour, "d", "h")
	}
}

func count(v any) (string, error) {
	n, err := asFloat(v)
	if err != nil {
		return "", err
	}
	return Number(n), nil
}

func asFloat(v any) (float64, error) {
	r := reflect.ValueOf(v)
	if r.Kind() == reflect.Pointer && !r.IsNil() {
		r = r.Elem()
	}
	switch {
	case r.CanInt():
		return float64(r.Int()), nil
	case r.CanUint():
		return float64(r.Uint()), nil
	case r.CanFloat():
		return r.Float(), nil
	}
	return 0, fmt.Errorf("%T is no number", v)
}

// Number formats a number with commas between thousands, and decimals only below 100.
func Number(n float64) string {
	if math.IsNaN(n) || math.IsInf(n, 0) {
		return "–"
	}
	decimals := 0
	switch abs := math.Abs(n); {
	case abs == math.Trunc(abs), abs >= 100:
	case abs < 1:
		decimals = 2
	default:
		decimals = 1
	}
	text := strconv.FormatFloat(math.Abs(n), 'f', decimals, 64)
	whole, rest, _ := strings.Cut(text, ".")
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if rest != "" {
		whole += "." + rest
	}
	if n < 0 {
		return "−" + whole
	}
	return whole
}

func size(v any) (string, error) {
	n, err := asFloat(v)
	if err != nil {
		return "", err
	}
	for _, unit := range []string{"B", "KB", "MB", "GB"} {
		if n < 1024 {
			return Number(n) + " " + unit, nil
		}
		n /= 1024
	}
	return Number(n) + " TB", nil
}

// currencyPlaces are the decimals of Stripe's currencies that do not have 2.
var currencyPlaces = map[string]int{
	"bif": 0, "clp": 0, "djf": 0, "gnf": 0, "jpy": 0, "kmf": 0, "krw": 0, "mga": 0, "pyg": 0, "rwf": 0, "vnd": 0, "vuv": 0, "xaf": 0, "xof": 0, "xpf": 0,
	"bhd": 3, "jod": 3, "kwd": 3, "omr": 3, "tnd": 3,
}

// Money formats an amount in the currency's smallest unit.
func Money(amount int64, currency string) string {
	currency = strings.ToLower(currency)
	places, ok := currencyPlaces[currency]
	if !ok {
		places = 2
	}
	sign, digits := "", strconv.FormatInt(amount, 10)
	if digits, ok = strings.CutPrefix(digits, "-"); ok {
		sign = "−"
	}
	digits = strings.Repeat("0", max(0, places+1-len(digits))) + digits
	whole, rest := digits[:len(digits)-places], digits[len(digits)-places:]
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if rest != "" {
		whole += "." + rest
	}
	return strings.TrimSpace(sign + whole + " " + strings.ToUpper(currency))
}

// tones of statuses. Others are mute.
var tones = map[string]string{
	"ok": "ok", "done": "ok", "applied": "ok", "active": "ok", "paid": "ok", "sent": "ok", "granted": "ok", "covered": "ok", "succeeded": "ok", "trialing": "ok", "enabled": "ok",
	"running": "info", "asking": "info", "in_flight": "info", "in flight": "info", "queue": "info", "queued": "info", "open": "info", "received": "info", "pending": "info", "unsent": "info", "replayed": "info",
	"failed": "warn", "failing": "warn", "retrying": "warn", "warning": "warn", "held": "warn", "paused": "warn", "past_due": "warn", "partial": "warn", "stopped": "warn", "degraded": "warn", "disputed": "warn", "draft": "warn",
	"dead": "bad", "dlq": "bad", "problem": "bad", "error": "bad", "broken": "bad", "gap": "bad", "unpaid": "bad", "rejected": "bad", "disabled": "bad", "uncollectible": "bad", "drift": "bad",
}

// Tone returns a status's tone: ok, info, warn, bad or mute.
func Tone(status string) string {
	if tone := tones[strings.ToLower(status)]; tone != "" {
		return tone
	}
	return "mute"
}

func badge(v any) template.HTML {
	s := fmt.Sprint(v)
	if s == "" {
		return `<span class="none">–</span>`
	}
	return template.HTML(`<span class="badge ` + Tone(s) + `">` + template.HTMLEscapeString(strings.ReplaceAll(s, "_", " ")) + `</span>`)
}

func link(prefix, class string) func(string) template.HTML {
	return func(id string) template.HTML {
		if id == "" {
			return `<span class="none">–</span>`
		}
		return template.HTML(`<a class="id ` + class + `" href="` + template.HTMLEscapeString(prefix+url.PathEscape(id)) + `">` + template.HTMLEscapeString(id) + `</a>`)
	}
}

func command(line string) template.HTML {
	return template.HTML(`<div class="command"><code>` + template.HTMLEscapeString(line) + `</code><button type="button" class="quiet" data-copy>Copy</button></div>`)
}

// pretty indents a sequence of JSON values; another text stays as it is.
func pretty(text string) string {
	var out bytes.Buffer
	for line := range strings.Lines(text) {
		if json.Indent(&out, []byte(strings.TrimSpace(line)), "", "  ") != nil {
			return text
		}
		out.WriteByte('\n')
	}
	return out.String()
}

func dict(pairs ...any) (map[string]any, error) {
	if len(pairs)%2 != 0 {
		return nil, errors.New("dict wants names and values")
	}
	m := map[string]any{}
	for i := 0; i < len(pairs); i += 2 {
		name, ok := pairs[i].(string)
		if !ok {
			return nil, fmt.Errorf("dict: %v is no name", pairs[i])
		}
		m[name] = pairs[i+1]
	}
	return m, nil
}
