// Package alarmtest has no code but tests: it evaluates the alarms of a golden template as CloudWatch
// does, on metrics that the functions' own log lines make and on written series of AWS's.
package alarmtest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// assumptions are what AWS does not document. An alarm must work with either.
type assumptions struct {
	late         int  // minutes until a value can be read
	more         int  // periods that are retrieved in addition to those evaluated
	fillsNothing bool // FILL makes values of a metric without any
	strict       bool // an operator has no value where one of its operands has none
	aligned      bool // periods begin at multiples of their length, and do not slide
}

// The user guide says that a missing value counts as 0 in arithmetic, others that it makes a gap.
func allAssumptions() []assumptions {
	return []assumptions{
		{more: 2, strict: true}, {more: 5, late: 2}, {more: 2, late: 2, strict: true, fillsNothing: true}, {more: 5, fillsNothing: true}, {more: 2, aligned: true},
	}
}

// alarm is one of a template.
type alarm struct {
	tokens     []string // of its expression
	Type       string
	Properties struct {
		AlarmName, AlarmRule, TreatMissingData, ComparisonOperator string
		Threshold                                                  float64
		EvaluationPeriods, DatapointsToAlarm                       int
		Metrics                                                    []struct {
			Id, Expression string
			MetricStat     *struct {
				Stat   string
				Period int
				Metric metric
			}
		}
	}
}

// metric is one metric of an alarm.
type metric struct {
	Namespace, MetricName string
	Dimensions            []struct {
		Name  string
		Value any
	}
}

// key has a reference's name for what it refers to.
func (m metric) key() string {
	dimensions := map[string]string{}
	for _, d := range m.Dimensions {
		text, is := d.Value.(string)
		if !is {
			text, _ = d.Value.(map[string]any)["Ref"].(string)
		}
		dimensions[d.Name] = text
	}
	return key(m.Namespace, m.MetricName, dimensions)
}

const stageName = "full"

// alarms returns those of the golden template with every option, by their names without the severity.
func alarms(t *testing.T) map[string]alarm {
	t.Helper()
	raw, err := os.ReadFile("../testdata/tollgate-" + stageName + ".json")
	if err != nil {
		t.Fatal(err)
	}
	var template struct {
		Resources map[string]struct{ Type string }
	}
	var whole struct{ Resources map[string]json.RawMessage }
	if err := json.Unmarshal(raw, &template); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &whole); err != nil {
		t.Fatal(err)
	}
	all := map[string]alarm{}
	for id, r := range template.Resources {
		if !strings.HasPrefix(r.Type, "AWS::CloudWatch::") || r.Type == "AWS::CloudWatch::Dashboard" {
			continue
		}
		text := string(whole.Resources[id])
		if r.Type == "AWS::CloudWatch::CompositeAlarm" { // its rule is joined of references
			text = regexp.MustCompile(`"AlarmRule":\s*`).ReplaceAllString(text, `"AlarmRule": "", "Joined": `)
		}
		var a alarm
		if err := json.Unmarshal([]byte(text), &a); err != nil {
			t.Fatal(id, err)
		}
		if r.Type == "AWS::CloudWatch::CompositeAlarm" {
			a.Properties.AlarmRule = strings.Join(regexp.MustCompile(`"Ref":\s*"(\w+)"`).FindAllString(text, -1), " ")
		}
		for _, q := range a.Properties.Metrics {
			if q.MetricStat == nil {
				a.tokens = tokens(t, q.Expression)
			}
		}
		_, name, _ := strings.Cut(strings.TrimPrefix(a.Properties.AlarmName, "tollgate-"+stageName+"-"), "-")
		all[name] = a
	}
	return all
}

// value is some equal values of one minute.
type value struct{ value, count float64 }

// timeline has the values of every metric by its minute. Minute 0 is a Monday's midnight.
type timeline struct {
	lines  map[string][]datum   // by what happens
	values map[string][][]value // by minute
	folded map[span]*float64    // nil: there is nothing
	last   int
}

func monday() time.Time { return time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC) }

func key(namespace, name string, dimensions map[string]string) string {
	k := namespace + " " + name
	for _, d := range slices.Sorted(maps.Keys(dimensions)) {
		k += " " + d + "=" + dimensions[d]
	}
	return k
}

func (l *timeline) add(metric string, minute int, v value) {
	for len(l.values[metric]) <= minute {
		l.values[metric] = append(l.values[metric], nil)
	}
	l.values[metric][minute] = append(l.values[metric][minute], v)
	l.last = max(l.last, minute)
}

// statistic folds the values of some minutes.
func statistic(stat string, values []value) float64 {
	sum, n := 0.0, 0.0
	for _, v := range values {
		sum, n = sum+v.value*v.count, n+v.count
	}
	switch stat {
	case "Sum":
		return sum
	case "SampleCount":
		return n
	case "Average":
		return sum / n
	case "Maximum":
		return slices.MaxFunc(values, func(a, b value) int { return cmp.Compare(a.value, b.value) }).value
	case "p99":
		slices.SortFunc(values, func(a, b value) int { return cmp.Compare(a.value, b.value) })
		seen := 0.0
		for _, v := range values {
			if seen += v.count; seen >= 0.99*n {
				return v.value
			}
		}
	}
	var limit, within float64
	if _, err := fmt.Sscanf(stat, "PR(:%g)", &limit); err != nil {
		panic("the statistic " + stat + " is not known here")
	}
	for _, v := range values {
		if v.value <= limit {
			within += v.count
		}
	}
	return 100 * within / n
}

// state evaluates an alarm at the end of a minute.
func (a alarm) state(l *timeline, minute int, assumed assumptions) (firing bool, err error) {
	p := a.Properties
	period := 0
	m := math{metrics: map[string]series{}, buckets: p.EvaluationPeriods + assumed.more, assumed: assumed}
	expression := ""
	for _, q := range p.Metrics {
		if q.MetricStat == nil {
			expression = q.Expression
			continue
		}
		period = q.MetricStat.Period / 60
		m.order = append(m.order, q.Id)
	}
	end := minute
	if assumed.aligned {
		end -= minute % period
	}
	m.start = func(i int) time.Time { return monday().Add(time.Duration(end-(i+1)*period) * time.Minute) }
	for _, q := range p.Metrics {
		if q.MetricStat != nil {
			m.metrics[q.Id] = l.read(q.MetricStat.Metric.key(), q.MetricStat.Stat, end, period, m.buckets, minute-assumed.late)
		}
	}
	got := m.metrics[p.Metrics[0].Id]
	if expression != "" {
		m.tokens = a.tokens
		if got, err = evaluate(expression, m); err != nil {
			return false, err
		}
	}
	return a.breaches(got, m.buckets), nil
}

// breaches decides as the user guide's "Configuring how CloudWatch alarms treat missing data": the
// newest values that are there count, as many as are evaluated, and only what is then lacking is
// filled.
func (a alarm) breaches(values series, buckets int) bool {
	p := a.Properties
	real, breaching := 0, 0
	for i := 0; i < buckets && real < p.EvaluationPeriods; i++ {
		v, is := values[i]
		if !is {
			continue
		}
		real++
		if v >= p.Threshold == (p.ComparisonOperator == "GreaterThanOrEqualToThreshold") {
			breaching++
		}
	}
	if p.TreatMissingData == "breaching" {
		breaching += p.EvaluationPeriods - real
	}
	return breaching >= p.DatapointsToAlarm
}

// read returns a metric's values by bucket, of the minutes before a time.
func (l *timeline) read(metric, stat string, end, period, buckets, before int) series {
	s := series{}
	for i := range buckets {
		if v, is := l.fold(span{metric, stat, max(end-(i+1)*period, 0), min(end-i*period, before)}); is {
			s[i] = v
		}
	}
	return s
}

// span is a statistic of a metric over some minutes; periods that slide have most of them in common.
type span struct {
	metric, stat string
	from, to     int
}

func (l *timeline) fold(s span) (float64, bool) {
	if v, done := l.folded[s]; v != nil {
		return *v, true
	} else if done {
		return 0, false
	}
	all, values := l.values[s.metric], []value{}
	for minute := s.from; minute < min(s.to, len(all)); minute++ {
		values = append(values, all[minute]...)
	}
	if l.folded[s] = nil; len(values) == 0 {
		return 0, false
	}
	v := statistic(s.stat, values)
	l.folded[s] = &v
	return v, true
}

// pages returns the minutes at which an alarm begins to fire between two minutes. An alarm over more
// than a day is evaluated once an hour.
func pages(all map[string]alarm, name string, l *timeline, from, to int, assumed assumptions) (at []int, err error) {
	a := all[name]
	parts := []alarm{a}
	if a.Type == "AWS::CloudWatch::CompositeAlarm" {
		parts = nil
		for _, part := range []string{"silence", "events-missed"} {
			if !strings.Contains(a.Properties.AlarmRule, "Alarm"+map[string]string{"silence": "Silence", "events-missed": "EventsMissed"}[part]+`"`) {
				return nil, fmt.Errorf("%s does not combine %s: %s", name, part, a.Properties.AlarmRule)
			}
			parts = append(parts, all[part])
		}
	}
	fired := false
	for minute := from; minute <= to; minute++ {
		firing := true
		for _, part := range parts {
			step := 1
			if period := part.period(); period >= 60 {
				step = 5 // as good as each minute, and sooner done
			}
			if part.Properties.EvaluationPeriods*part.period() > 24*60 {
				step = 60
			}
			is, err := part.state(l, minute-minute%step, assumed)
			if err != nil {
				return nil, err
			}
			if firing = firing && is; !firing {
				break
			}
		}
		if firing && !fired {
			at = append(at, minute)
		}
		fired = firing
	}
	return at, nil
}

func (a alarm) period() int {
	for _, q := range a.Properties.Metrics {
		if q.MetricStat != nil {
			return q.MetricStat.Period / 60
		}
	}
	return 0
}
