package mail

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"tollgate/pkg/outbox"
)

// format is how a language writes numbers and dates.
type format struct{ group, decimal, date string }

// formats by language. A language needs an entry here and a folder of templates.
var formats = map[string]format{
	"de": {".", ",", "02.01.2006"},
	"en": {",", ".", "2 January 2006"},
}

// view is what a template sees.
type view struct {
	Options
	Subject string
	m       outbox.Message
	format  format
}

// Amount returns the message's amount with its currency, "" without a currency.
func (v view) Amount() string {
	currency, amount := v.Text("currency"), v.number("amount")
	if currency == "" {
		return ""
	}
	return v.format.amount(amount, currency)
}

// Text returns a field of the message that is a text, "" if it has none. "to" is the customer's id.
func (v view) Text(field string) string {
	if field == "to" {
		return v.m.To
	}
	text, _ := v.m.Fields[field].(string)
	return text
}

// Date returns a field in seconds since 1970 as a date in UTC, "" if it is 0 or missing.
func (v view) Date(field string) string {
	seconds := v.number(field)
	if seconds == 0 {
		return ""
	}
	return time.Unix(seconds, 0).UTC().Format(v.format.date)
}

// Is returns a field that is true or false.
func (v view) Is(field string) bool {
	is, _ := v.m.Fields[field].(bool)
	return is
}

func (v view) number(field string) int64 {
	n, _ := v.m.Fields[field].(int64) // as a stored number is read
	return n
}

// zeroDecimal and threeDecimal are the currencies whose smallest unit is not a hundredth. Stripe
// counts isk and ugx in hundredths, although they have none.
var (
	zeroDecimal  = []string{"bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "vnd", "vuv", "xaf", "xof", "xpf"}
	threeDecimal = []string{"bhd", "jod", "kwd", "omr", "tnd"}
)

func decimals(currency string) int {
	switch currency = strings.ToLower(currency); {
	case slices.Contains(zeroDecimal, currency):
		return 0
	case slices.Contains(threeDecimal, currency):
		return 3
	}
	return 2
}

// amount writes an amount in the currency's smallest unit as people do: 1,234.56 EUR.
func (f format) amount(minor int64, currency string) string {
	sign, digits := "", strconv.FormatInt(minor, 10)
	if minor < 0 {
		sign, digits = "-", digits[1:]
	}
	n := decimals(currency)
	digits = strings.Repeat("0", max(0, n+1-len(digits))) + digits
	whole, fraction := digits[:len(digits)-n], digits[len(digits)-n:]
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + f.group + whole[i:]
	}
	if n > 0 {
		whole += f.decimal + fraction
	}
	return sign + whole + " " + strings.ToUpper(currency)
}
