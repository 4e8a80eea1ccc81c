package main

import (
	"fmt"
	"strings"
	"text/tabwriter"
	"time"
	"unicode/utf8"
)

// table prints aligned columns, the first row in capitals. What is in the cells may be of
// others' making, ids of products for example.
func (a *app) table(head []string, rows [][]string) {
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, strings.ToUpper(strings.Join(head, "\t")))
	for _, row := range rows {
		cells := make([]string, len(row))
		for i, cell := range row {
			cells[i] = oneLine(cell)
		}
		fmt.Fprintln(w, strings.Join(cells, "\t"))
	}
	w.Flush()
}

// fields prints one name and value a line.
func (a *app) fields(lines [][2]string) {
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	for _, l := range lines {
		fmt.Fprintf(w, "%s\t%s\n", l[0], oneLine(l[1]))
	}
	w.Flush()
}

// clip makes a text fit a column of n characters.
func clip(s string, n int) string {
	s = oneLine(s)
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:n-1]) + "…"
}

// shortTime is a time for a table: local, without what goes without saying.
func shortTime(t, now time.Time) string {
	if t.IsZero() || t.Unix() == 0 {
		return "-"
	}
	t, now = t.Local(), now.Local()
	switch {
	case t.Year() == now.Year() && t.YearDay() == now.YearDay():
		return t.Format("15:04:05")
	case now.Sub(t) < 300*24*time.Hour && t.Before(now):
		return t.Format("Jan _2 15:04")
	default:
		return t.Format(time.DateOnly)
	}
}

// longTime is a time for a page about one thing: local, with its zone.
func longTime(t time.Time) string {
	if t.IsZero() || t.Unix() == 0 {
		return "-"
	}
	return t.Local().Format("2006-01-02 15:04:05 MST")
}
