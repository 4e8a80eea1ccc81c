package verb

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/term"
)

// Line prints one result: JSON for machines, text for people.
func (a *App) Line(item any, text string) {
	if !a.JSON {
		fmt.Fprintln(a.Out, text)
		return
	}
	a.Object(item)
}

// Object prints one JSON object on a line of its own.
func (a *App) Object(v any) { writeJSON(a.Out, v) }

// Note prints a note on stderr: JSON for machines, text for people.
func (a *App) Note(item any, text string) {
	if a.JSON {
		writeJSON(a.Err, item)
		return
	}
	fmt.Fprintln(a.Err, text)
}

func writeJSON(w io.Writer, v any) {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.Encode(v)
}

const columnGap = "  "

// leastLast is the minimum width of a table's last column on a narrow terminal.
const leastLast = 20

// Table prints aligned columns under a head in capitals. On a terminal the last column is cut
// to the terminal's width, so put the longest text there. Control characters, which a
// sender may have chosen, are replaced.
func (a *App) Table(head []string, rows [][]string) {
	upper := make([]string, len(head))
	for i, name := range head {
		upper[i] = strings.ToUpper(name)
	}
	a.columns(append([][]string{upper}, rows...), terminalWidth(a.Out))
}

// List prints items: for machines an object for each, for people a table with a row for each,
// or none if there are no items. heads are the table's heads, separated by |.
func List[T any](a *App, items []T, object func(T) any, none, heads string, row func(T) []string) {
	var rows [][]string
	for _, item := range items {
		if a.JSON {
			a.Object(object(item))
		} else {
			rows = append(rows, row(item))
		}
	}
	switch {
	case a.JSON:
	case len(rows) == 0:
		fmt.Fprintln(a.Out, none)
	default:
		a.Table(strings.Split(heads, "|"), rows)
	}
}

// Fields prints one name and value a line.
func (a *App) Fields(lines [][2]string) {
	rows := make([][]string, len(lines))
	for i, l := range lines {
		rows[i] = l[:]
	}
	a.columns(rows, 0)
}

// columns prints rows of equal length in a width, 0 for any.
func (a *App) columns(rows [][]string, width int) {
	last := len(rows[0]) - 1
	widths := make([]int, last)
	for _, row := range rows {
		for i := range widths {
			widths[i] = max(widths[i], utf8.RuneCountInString(OneLine(row[i])))
		}
	}
	left := width
	for _, w := range widths {
		left -= w + len(columnGap)
	}
	for _, row := range rows {
		var line strings.Builder
		for i, w := range widths {
			cell := OneLine(row[i])
			line.WriteString(cell + strings.Repeat(" ", w-utf8.RuneCountInString(cell)) + columnGap)
		}
		text := OneLine(row[last])
		if width > 0 {
			text = Clip(text, max(left, leastLast))
		}
		fmt.Fprintln(a.Out, strings.TrimRight(line.String()+text, " "))
	}
}

// terminalWidth returns the width of the terminal that w is, 0 for none.
func terminalWidth(w any) int {
	f, ok := w.(*os.File)
	if !ok {
		return 0
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	return width
}

// Clip cuts a text to n characters.
func Clip(s string, n int) string {
	s = OneLine(s)
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:n-1]) + "…"
}

// ShortTime formats a time in UTC for a table: the time of today, the day and time of this
// year, else the day. A Z marks UTC.
func ShortTime(t, now time.Time) string {
	if t.IsZero() || t.Unix() == 0 {
		return "-"
	}
	t, now = t.UTC(), now.UTC()
	switch {
	case t.Year() == now.Year() && t.YearDay() == now.YearDay():
		return t.Format("15:04:05Z")
	case now.Sub(t) < 300*24*time.Hour && t.Before(now):
		return t.Format("Jan _2 15:04Z")
	default:
		return t.Format(time.DateOnly)
	}
}

// LongTime formats a time in UTC, with the zone.
func LongTime(t time.Time) string {
	if t.IsZero() || t.Unix() == 0 {
		return "-"
	}
	return t.UTC().Format("2006-01-02 15:04:05 UTC")
}

// Stamp formats a time for machines: RFC 3339 in UTC, nil for none.
func Stamp(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	s := t.UTC().Format(time.RFC3339Nano)
	return &s
}

// Dash returns "-" for an empty text.
func Dash(s string) string { return cmp.Or(s, "-") }

// OneLine replaces what could break a table or control a terminal.
func OneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.In(r, unicode.Bidi_Control, unicode.Zl, unicode.Zp) {
			return ' '
		}
		return r
	}, s)
}

// Plural returns a count with its noun.
func Plural(n int, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, more)
}

// Count describes n things, "" for none.
func Count(n int, text string) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("%d %s", n, text)
}

// Counts joins the counts that are not empty, each after sep.
func Counts(sep string, list ...string) (text string) {
	for _, c := range list {
		if c != "" {
			text += sep + c
		}
	}
	return text
}

// Money formats an amount in the currency's smallest unit, as Stripe gives it.
func Money(amount int64, currency string) string {
	return strings.TrimSpace(fmt.Sprintf("%d %s", amount, currency))
}

// Progress prints on stderr how far a long run is: once a second on a terminal or for a job,
// else every 30 seconds. It is safe for concurrent use.
type Progress struct {
	a      *App
	verb   string
	total  int    // 0: unknown
	things string // what is counted when the total is unknown
	start  time.Time
	every  time.Duration

	mu      sync.Mutex
	n       int
	printed int // n when it was last printed
	next    time.Time
}

// Progress starts to count a run of total things, for example "sent 10 of 100".
func (a *App) Progress(verb string, total int) *Progress {
	now, every := time.Now(), a.ProgressEvery()
	return &Progress{a: a, verb: verb, total: total, start: now, every: every, next: now.Add(every)}
}

// Counter starts to count a run of unknown length, for example "read 10 dead letters".
func (a *App) Counter(verb, things string) *Progress {
	p := a.Progress(verb, 0)
	p.things = things
	return p
}

// ProgressEvery returns the least time between two lines of progress.
func (a *App) ProgressEvery() time.Duration {
	if terminalWidth(a.Err) > 0 || a.ask != nil {
		return time.Second
	}
	return 30 * time.Second
}

// Add counts n more.
func (p *Progress) Add(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.n += n
	if now := time.Now(); now.After(p.next) {
		p.next = now.Add(p.every)
		p.print(now)
	}
}

// Count returns the sum so far.
func (p *Progress) Count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.n
}

// Done prints the last line of a run that was long enough to have had one before.
func (p *Progress) Done() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now := time.Now(); now.Sub(p.start) > p.every && p.printed != p.n {
		p.print(now)
	}
}

func (p *Progress) print(now time.Time) {
	p.printed = p.n
	rate := float64(p.n) / now.Sub(p.start).Seconds()
	if p.total == 0 {
		fmt.Fprintf(p.a.Err, "%s %d %s, %.0f a second\n", p.verb, p.n, p.things, rate)
		return
	}
	fmt.Fprintf(p.a.Err, "%s %d of %d (%.0f %%), %.0f a second\n", p.verb, p.n, p.total, 100*float64(p.n)/float64(p.total), rate)
}
