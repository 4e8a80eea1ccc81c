package console_test

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tollgate/pkg/console"
)

var plotBegin = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func plotLine(name string, values ...float64) console.Line {
	l := console.Line{Name: name}
	for i, v := range values {
		l.Points = append(l.Points, console.Point{At: plotBegin.Add(time.Duration(i) * time.Minute), Value: v})
	}
	return l
}

// TestPlotIsReadableWithoutThePicture: the label has the newest and the highest values, and the table all.
func TestPlotIsReadableWithoutThePicture(t *testing.T) {
	p := console.Plot{Title: "Done", Unit: "events", From: plotBegin, To: plotBegin.Add(time.Hour), Bars: true,
		Lines: []console.Line{plotLine("invoice.paid", 1, 7, math.NaN(), 4), plotLine("none", math.NaN())}}
	html := string(p.HTML())
	for _, want := range []string{`aria-label="Done. invoice.paid: now 4 events, at most 7 events; none: no values"`, `<th scope="col" class="num">invoice.paid</th>`, `<td class="num">7 events</td>`} {
		if !strings.Contains(html, want) {
			t.Errorf("%q is not in %s", want, html)
		}
	}
	if n := strings.Count(html, `class="col `); n != 3 {
		t.Errorf("%d bars, want 3 of known values", n)
	}
}

// TestPlotTableIsBounded: of many points a row has the sum of some, or the highest of a line's.
func TestPlotTableIsBounded(t *testing.T) {
	values := make([]float64, 121)
	for i := range values {
		values[i] = float64(i % 5)
	}
	for bars, want := range map[bool]string{true: "10", false: "4"} {
		html := string(console.Plot{Bars: bars, From: plotBegin, To: plotBegin.Add(2 * time.Hour), Lines: []console.Line{plotLine("a", values...)}}.HTML())
		rows := regexp.MustCompile(`<td class="num">([^<]*)</td>`).FindAllStringSubmatch(html, -1)
		if len(rows) != 25 || rows[0][1] != want {
			t.Errorf("bars %v: %d rows, the first %v, want 25 with %s", bars, len(rows), rows[0], want)
		}
	}
}

// TestPlotIsWholeHTML: whatever the names and values, a plot is well-formed, escapes text, and draws
// within its picture.
func TestPlotIsWholeHTML(t *testing.T) {
	text := rapid.OneOf(rapid.String(), rapid.Just(`"><script>alert(1)</script>`))
	number := rapid.OneOf(rapid.Float64Range(-10, 1e15), rapid.Just(math.NaN()), rapid.Just(math.Inf(1)), rapid.Just(0.0))
	points := regexp.MustCompile(`[ML](\S+) ([^hLM"]+)`)
	place := regexp.MustCompile(`class="col [^"]*" x="([^"]*)" y="([^"]*)" width="([^"]*)" height="([^"]*)"`)
	rapid.Check(t, func(t *rapid.T) {
		p := console.Plot{Title: text.Draw(t, "title"), Unit: text.Draw(t, "unit"), From: plotBegin, To: plotBegin.Add(time.Hour), Bars: rapid.Bool().Draw(t, "bars"), Log: rapid.Bool().Draw(t, "log"), Top: rapid.SampledFrom([]float64{0, 0, 100}).Draw(t, "top")}
		for range rapid.IntRange(0, 4).Draw(t, "lines") {
			p.Lines = append(p.Lines, plotLine(text.Draw(t, "name"), rapid.SliceOfN(number, 0, 130).Draw(t, "values")...))
		}
		html := string(p.HTML())
		if strings.Contains(html, "<script") {
			t.Fatalf("a name became code: %s", html)
		}
		d := xml.NewDecoder(strings.NewReader(strings.Map(func(r rune) rune {
			if r < ' ' || r == 0xfffe || r == 0xffff || r == 0xfffd {
				return '?'
			}
			return r
		}, html)))
		d.Entity = xml.HTMLEntity
		for {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%v in %s", err, html)
			}
		}
		for _, m := range points.FindAllStringSubmatch(html[strings.Index(html, "preserveAspectRatio"):], -1) {
			var x, y float64
			if _, err := fmt.Sscan(m[1]+" "+m[2], &x, &y); err == nil && (x < 0 || x > 1000 || y < 0 || y > 100) {
				t.Fatalf("point %v", m)
			}
		}
		for _, m := range place.FindAllStringSubmatch(html, -1) {
			var x, y, width, height float64
			if _, err := fmt.Sscan(strings.Join(m[1:], " "), &x, &y, &width, &height); err != nil || x < 0 || y < -0.1 || width < 0 || height < 0 || x+width > 1000.1 || y+height > 100.1 {
				t.Fatalf("bar %v: %v", m, err)
			}
		}
	})
}

// TestLogScaleHasTens: a time of a second and one of an hour are both readable.
func TestLogScaleHasTens(t *testing.T) {
	html := string(console.Plot{Log: true, From: plotBegin, To: plotBegin.Add(time.Hour), Lines: []console.Line{plotLine("p50", 40, math.NaN(), 100, 4000)}}.HTML())
	for _, want := range []string{">10</text>", ">316</text>", ">10,000</text>", `d="M33.3 69.3L50.0 20.2"`, `dots tone-1" d="M0.0 81.5h0"`} {
		if !strings.Contains(html, want) {
			t.Errorf("%q is not in %s", want, html)
		}
	}
}
