package job

import (
	"encoding/json"
	"regexp"
	"strconv"
	"strings"

	"tollgate/pkg/console"
)

// Lines decodes the whole lines of a job's output that are a T. Of a long output the first
// line may have lost its begin.
func Lines[T any](v console.JobView) (list []T) {
	for line := range strings.Lines(v.Output) {
		var one T
		if strings.HasSuffix(line, "\n") && json.Unmarshal([]byte(line), &one) == nil {
			list = append(list, one)
		}
	}
	return list
}

// Last returns the last of them, nil if there is none.
func Last[T any](v console.JobView) *T {
	list := Lines[T](v)
	if len(list) == 0 {
		return nil
	}
	return &list[len(list)-1]
}

// Note decodes the last of the objects that a verb prints with its result, nil if there is none.
func Note[T any](v console.JobView) *T {
	if len(v.Notes) == 0 {
		return nil
	}
	var one T
	if json.Unmarshal([]byte(v.Notes[len(v.Notes)-1]), &one) != nil {
		return nil
	}
	return &one
}

// Progress is how far a job is, as [verb.Progress] prints it.
type Progress struct {
	Text     string // the newest line
	N, Total int    // 0 of 0 if the line does not count
}

var counted = regexp.MustCompile(`^[a-z]+ (\d+) of (\d+) \(`)

// ProgressOf returns the progress of a job.
func ProgressOf(v console.JobView) (p Progress) {
	for _, line := range v.Progress {
		if strings.HasPrefix(line, "audit ") {
			continue
		}
		p.Text = line
		if found := counted.FindStringSubmatch(line); found != nil {
			p.N, _ = strconv.Atoi(found[1])
			p.Total, _ = strconv.Atoi(found[2])
		}
	}
	return p
}
