package console

import (
	"fmt"
	"html/template"
	"math"
	"strings"
	"time"
)

// Plot shows values over time as an inline SVG, with a table of the same values.
type Plot struct {
	Title    string
	Unit     string // behind each value, for example "events/min"; "" for none
	From, To time.Time
	Lines    []Line
	Bars     bool // bars instead of lines; of several lines the bars stand on each other
	// Format writes a value; default: [Number] with the unit.
	Format func(float64) string
}

// Line is one of a plot's series.
type Line struct {
	Name   string
	Tone   string // ok, info, warn, bad, mute, or 1 to 6 of the palette; default: by its place
	Points []Point
}

// Point is a value at a time; NaN is a gap.
type Point struct {
	At    time.Time
	Value float64
}

const (
	plotWidth, plotHeight = 1000, 100 // of the inner picture, which is stretched
	plotFloor             = 84        // percent of the height above the labels of time
	maxRows               = 400       // of the table
)

func (p Plot) format(v float64) string {
	if p.Format != nil {
		return p.Format(v)
	}
	return strings.TrimSpace(Number(v) + " " + p.Unit)
}

// HTML returns the plot as a figure. The picture is for the eye; its label has the newest and
// the highest values, and the table all of them.
func (p Plot) HTML() template.HTML {
	top := niceTop(p.top())
	var b strings.Builder
	esc := template.HTMLEscapeString
	fmt.Fprintf(&b, `<figure class="plot"><figcaption><strong>%s</strong>%s</figcaption>`, esc(p.Title), p.legend())
	fmt.Fprintf(&b, `<svg role="img" aria-label="%s" data-from="%d" data-to="%d">`, esc(p.label()), p.From.UnixMilli(), p.To.UnixMilli())
	for _, share := range []float64{0, 0.5, 1} {
		y := plotFloor * (1 - share*0.92)
		fmt.Fprintf(&b, `<line class="grid" x1="0" x2="100%%" y1="%.1f%%" y2="%.1f%%"/>`, y, y)
		if share > 0 {
			fmt.Fprintf(&b, `<text class="y" x="0" y="%.1f%%" dy="-3">%s</text>`, y, esc(p.format(top*share)))
		}
	}
	fmt.Fprintf(&b, `<svg x="0" y="0" width="100%%" height="%d%%" viewBox="0 0 %d %d" preserveAspectRatio="none">%s</svg>`, plotFloor, plotWidth, plotHeight, p.shapes(top))
	for i, anchor := range []string{"start", "middle", "end"} {
		at := p.From.Add(p.To.Sub(p.From) * time.Duration(i) / 2).UTC()
		fmt.Fprintf(&b, `<text class="x" x="%d%%" y="98%%" text-anchor="%s" data-time="%s">%s</text>`, i*50, anchor, at.Format(time.RFC3339), at.Format("15:04 UTC"))
	}
	b.WriteString(`</svg>` + p.table() + `</figure>`)
	return template.HTML(b.String())
}

func (p Plot) top() (top float64) {
	if !p.Bars {
		for _, l := range p.Lines {
			for _, pt := range l.Points {
				top = fmax(top, pt.Value)
			}
		}
		return top
	}
	sums := map[int64]float64{}
	for _, l := range p.Lines {
		for _, pt := range l.Points {
			if !math.IsNaN(pt.Value) {
				sums[pt.At.Unix()] += pt.Value
				top = fmax(top, sums[pt.At.Unix()])
			}
		}
	}
	return top
}

func fmax(a, b float64) float64 {
	if math.IsNaN(b) || math.IsInf(b, 0) || b < a {
		return a
	}
	return b
}

// niceTop returns the least of 1, 2, 5, 10, 20, … that is not below v.
func niceTop(v float64) float64 {
	if v <= 0 {
		return 1
	}
	unit := math.Pow(10, math.Floor(math.Log10(v)))
	for _, f := range []float64{1, 2, 5} {
		if v <= f*unit {
			return f * unit
		}
	}
	return 10 * unit
}

func (l Line) tone(i int) string {
	if l.Tone != "" {
		return "tone-" + l.Tone
	}
	return fmt.Sprintf("tone-%d", i%6+1)
}

func (p Plot) legend() string {
	var b strings.Builder
	b.WriteString(`<span class="legend">`)
	for i, l := range p.Lines {
		fmt.Fprintf(&b, `<span class="key %s">%s</span>`, template.HTMLEscapeString(l.tone(i)), template.HTMLEscapeString(l.Name))
	}
	return b.String() + `</span>`
}

func (p Plot) label() string {
	var parts []string
	for _, l := range p.Lines {
		most, newest := math.NaN(), math.NaN()
		for _, pt := range l.Points {
			if !math.IsNaN(pt.Value) {
				newest = pt.Value
				if math.IsNaN(most) || pt.Value > most {
					most = pt.Value
				}
			}
		}
		if math.IsNaN(newest) {
			parts = append(parts, l.Name+": no values")
			continue
		}
		parts = append(parts, fmt.Sprintf("%s: now %s, at most %s", l.Name, p.format(newest), p.format(most)))
	}
	return p.Title + ". " + strings.Join(parts, "; ")
}

func (p Plot) x(t time.Time) float64 {
	span := p.To.Sub(p.From)
	if span <= 0 {
		return 0
	}
	return plotWidth * min(max(float64(t.Sub(p.From))/float64(span), 0), 1)
}

func plotY(v, top float64) float64 { return plotHeight * (1 - 0.92*v/top) }

func (p Plot) shapes(top float64) string {
	var b strings.Builder
	base := map[int64]float64{}
	for i, l := range p.Lines {
		class := template.HTMLEscapeString(l.tone(i))
		if p.Bars {
			p.bars(&b, l, class, top, base)
			continue
		}
		path, pen := strings.Builder{}, "M"
		for _, pt := range l.Points {
			if math.IsNaN(pt.Value) || math.IsInf(pt.Value, 0) {
				pen = "M"
				continue
			}
			fmt.Fprintf(&path, "%s%.1f %.1f", pen, p.x(pt.At), plotY(pt.Value, top))
			if pen == "M" {
				path.WriteString("h0") // a lone point is a dot
			}
			pen = "L"
		}
		fmt.Fprintf(&b, `<path class="line %s" d="%s"/>`, class, path.String())
	}
	return b.String()
}

func (p Plot) bars(b *strings.Builder, l Line, class string, top float64, base map[int64]float64) {
	width := plotWidth * 0.8 / float64(max(len(l.Points), 1))
	for _, pt := range l.Points {
		if math.IsNaN(pt.Value) || pt.Value <= 0 {
			continue
		}
		from := base[pt.At.Unix()]
		base[pt.At.Unix()] = from + pt.Value
		high := plotY(from+pt.Value, top)
		fmt.Fprintf(b, `<rect class="bar %s" x="%.1f" y="%.1f" width="%.1f" height="%.1f"/>`, class, min(p.x(pt.At), plotWidth-width), high, width, plotY(from, top)-high)
	}
}

// table lists the values, oldest first.
func (p Plot) table() string {
	var b strings.Builder
	esc := template.HTMLEscapeString
	b.WriteString(`<details class="plot-data"><summary>Values</summary><div class="scroll" tabindex="0" role="region" aria-label="` + esc(p.Title) + `"><table><thead><tr><th scope="col">Time</th>`)
	values := map[int64][]string{}
	var times []time.Time
	for i, l := range p.Lines {
		fmt.Fprintf(&b, `<th scope="col" class="num">%s</th>`, esc(l.Name))
		for _, pt := range l.Points {
			key := pt.At.UnixMilli()
			if values[key] == nil {
				values[key] = make([]string, len(p.Lines))
				times = append(times, pt.At)
			}
			values[key][i] = p.format(pt.Value)
		}
	}
	b.WriteString(`</tr></thead><tbody>`)
	if len(times) > maxRows {
		times = times[len(times)-maxRows:]
	}
	for _, t := range times {
		fmt.Fprintf(&b, `<tr><td>%s</td>`, timeTag("")(t))
		for _, v := range values[t.UnixMilli()] {
			fmt.Fprintf(&b, `<td class="num">%s</td>`, esc(v))
		}
		b.WriteString(`</tr>`)
	}
	return b.String() + `</tbody></table></div></details>`
}
