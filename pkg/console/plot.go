package console

import (
	"fmt"
	"html/template"
	"iter"
	"math"
	"slices"
	"strings"
	"time"
)

// Plot shows values over time as an inline SVG, with a table of the same values.
type Plot struct {
	Title    string
	Unit     string // behind each value, for example "events/min"; "" for none
	From, To time.Time
	Lines    []Line
	Bars     bool    // bars instead of lines; of several lines the bars stand on each other
	Log      bool    // a logarithmic scale, of lines whose values are over 0
	Top      float64 // of the scale; default: a round number over the highest value
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
	maxRows               = 30        // of the table, which live updates send again
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
	scale := p.scale()
	var b strings.Builder
	esc := template.HTMLEscapeString
	fmt.Fprintf(&b, `<figure class="plot"><figcaption>%s</figcaption>`, esc(p.Title))
	fmt.Fprintf(&b, `<svg role="img" aria-label="%s" data-from="%d" data-to="%d">`, esc(p.label()), p.From.UnixMilli(), p.To.UnixMilli())
	for _, share := range []float64{0, 0.5, 1} {
		y := plotFloor * (1 - share*0.92)
		fmt.Fprintf(&b, `<line class="grid" x1="0" x2="100%%" y1="%.1f%%" y2="%.1f%%"/>`, y, y)
		if share > 0 || p.Log {
			fmt.Fprintf(&b, `<text class="y" x="0" y="%.1f%%" dy="-3">%s</text>`, y, esc(p.format(scale.at(share))))
		}
	}
	fmt.Fprintf(&b, `<svg x="0" y="0" width="100%%" height="%d%%" viewBox="0 0 %d %d" preserveAspectRatio="none">%s</svg>`, plotFloor, plotWidth, plotHeight, p.shapes(scale))
	for i, anchor := range []string{"start", "middle", "end"} {
		at := p.From.Add(p.To.Sub(p.From) * time.Duration(i) / 2).UTC()
		fmt.Fprintf(&b, `<text class="x" x="%d%%" y="98%%" text-anchor="%s" data-time="%s">%s</text>`, i*50, anchor, at.Format(time.RFC3339), at.Format("15:04 UTC"))
	}
	b.WriteString(`</svg>` + p.legend() + p.table() + `</figure>`)
	return template.HTML(b.String())
}

// scale maps values to shares of the height.
type scale struct{ low, top float64 } // low is 0 on a linear one

func (p Plot) scale() scale {
	top := p.top()
	switch {
	case p.Top > 0:
		return scale{0, p.Top}
	case !p.Log || top <= 0:
		return scale{0, niceTop(top)}
	}
	low := top
	for _, l := range p.Lines {
		for _, pt := range l.Points {
			if known(pt.Value) && pt.Value > 0 {
				low = min(low, pt.Value)
			}
		}
	}
	ten := func(exponent float64) float64 { return math.Pow(10, exponent) }
	return scale{ten(math.Floor(math.Log10(low))), ten(max(math.Ceil(math.Log10(top)), math.Floor(math.Log10(low))+1))}
}

// at is the value at a share of the height.
func (s scale) at(share float64) float64 {
	if s.low > 0 {
		return s.low * math.Pow(s.top/s.low, share)
	}
	return s.top * share
}

// y is a value's place from above.
func (s scale) y(v float64) float64 {
	share := v / s.top
	if s.low > 0 {
		share = math.Log(max(v, s.low)/s.low) / math.Log(s.top/s.low)
	}
	return plotHeight * (1 - 0.92*min(max(share, 0), 1))
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
			if known(pt.Value) && pt.Value > 0 {
				sums[pt.At.Unix()] += pt.Value
				top = fmax(top, sums[pt.At.Unix()])
			}
		}
	}
	return top
}

// known reports whether v is a number, not a gap.
func known(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

func fmax(a, b float64) float64 {
	if !known(b) || b < a {
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
			if known(pt.Value) {
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

func (p Plot) shapes(on scale) string {
	var b strings.Builder
	base := map[int64]float64{}
	for i, l := range p.Lines {
		class := template.HTMLEscapeString(l.tone(i))
		if p.Bars {
			p.bars(&b, l, class, on, base)
			continue
		}
		path, dots, pen := strings.Builder{}, strings.Builder{}, "M"
		for j, pt := range l.Points {
			if !known(pt.Value) {
				pen = "M"
				continue
			}
			alone := pen == "M" && (j+1 == len(l.Points) || !known(l.Points[j+1].Value))
			if alone {
				fmt.Fprintf(&dots, "M%.1f %.1fh0", p.x(pt.At), on.y(pt.Value))
				continue
			}
			fmt.Fprintf(&path, "%s%.1f %.1f", pen, p.x(pt.At), on.y(pt.Value))
			pen = "L"
		}
		fmt.Fprintf(&b, `<path class="line %s" d="%s"/><path class="line dots %s" d="%s"/>`, class, path.String(), class, dots.String())
	}
	return b.String()
}

func (p Plot) bars(b *strings.Builder, l Line, class string, on scale, base map[int64]float64) {
	width := plotWidth * 0.8 / float64(max(len(l.Points), 1))
	for _, pt := range l.Points {
		if !known(pt.Value) || pt.Value <= 0 {
			continue
		}
		from := base[pt.At.Unix()]
		base[pt.At.Unix()] = from + pt.Value
		high := on.y(from + pt.Value)
		fmt.Fprintf(b, `<rect class="col %s" x="%.1f" y="%.1f" width="%.1f" height="%.1f"/>`, class, min(p.x(pt.At), plotWidth-width), high, width, on.y(from)-high)
	}
}

// table lists the values, oldest first: of many the sums of some in a row, of a line's the highest.
func (p Plot) table() string {
	var b strings.Builder
	esc := template.HTMLEscapeString
	b.WriteString(`<details class="plot-data"><summary>Values</summary><div class="scroll" tabindex="0" role="region" aria-label="` + esc(p.Title) + `"><table><thead><tr><th scope="col">From</th>`)
	for _, l := range p.Lines {
		fmt.Fprintf(&b, `<th scope="col" class="num">%s</th>`, esc(l.Name))
	}
	b.WriteString(`</tr></thead><tbody>`)
	for from, values := range p.rows() {
		fmt.Fprintf(&b, `<tr><td>%s</td>`, timeTag("")(from))
		for _, v := range values {
			fmt.Fprintf(&b, `<td class="num">%s</td>`, esc(p.format(v)))
		}
		b.WriteString(`</tr>`)
	}
	return b.String() + `</tbody></table></div></details>`
}

// rows yields the values at a time or from it on, at most maxRows.
func (p Plot) rows() iter.Seq2[time.Time, []float64] {
	var times []time.Time
	for _, l := range p.Lines {
		for _, pt := range l.Points {
			times = append(times, pt.At)
		}
	}
	slices.SortFunc(times, time.Time.Compare)
	times = slices.CompactFunc(times, time.Time.Equal)
	return func(yield func(time.Time, []float64) bool) {
		for some := range slices.Chunk(times, max(1, (len(times)+maxRows-1)/maxRows)) {
			values := slices.Repeat([]float64{math.NaN()}, len(p.Lines))
			for i, l := range p.Lines {
				for _, pt := range l.Points {
					switch old := values[i]; {
					case pt.At.Before(some[0]) || pt.At.After(some[len(some)-1]) || !known(pt.Value):
					case math.IsNaN(old):
						values[i] = pt.Value
					case p.Bars:
						values[i] = old + pt.Value
					default:
						values[i] = max(old, pt.Value)
					}
				}
			}
			if !yield(some[0], values) {
				return
			}
		}
	}
}
