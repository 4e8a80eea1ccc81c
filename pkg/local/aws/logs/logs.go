// Package logs is an embedded AWS CloudWatch Logs that keeps the newest lines of each log group in
// memory, to be served on loopback: a restart forgets them.
//
// FilterLogEvents, its one operation, answers lines in the order of their arrival, in pages; a page
// may be empty and still have a token, as on AWS. It supports filter patterns of the form
// { $.name = "value" }, and rejects all others and every member that it does not know.
//
//	s := logs.New("/aws/lambda/tollgate-ingest")
//	s.Put("/aws/lambda/tollgate-ingest", time.Now(), line)
//	http.Serve(listener, awsjson.Handler(s.Service()))
package logs

import (
	"bytes"
	"context"
	"encoding/json"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"sync"
	"time"

	"tollgate/pkg/local/aws/awsjson"
	"tollgate/pkg/local/aws/jsonscan"
)

const (
	maxGroupBytes = 16 << 20 // of the lines that a group keeps
	maxLine       = 256 << 10
	maxPageBytes  = 2 << 20 // that a page reads
	maxPageLines  = 10_000
)

// Store has the lines of log groups. It is safe for concurrent use.
type Store struct {
	mu     sync.Mutex
	groups map[string]*group
}

// group keeps lines by their numbers, which rise by one. A line is never changed.
type group struct {
	lines []line
	bytes int
	next  int64
}

type line struct {
	number int64
	at     int64 // ms
	text   []byte
}

// New makes a store of log groups.
func New(groups ...string) *Store {
	s := &Store{groups: map[string]*group{}}
	for _, name := range groups {
		s.groups[name] = &group{}
	}
	return s
}

// Put adds a line to a group, cut to 256 KiB, and drops the oldest lines beyond 16 MiB. A line of a
// group that there is not is dropped.
func (s *Store) Put(name string, at time.Time, text []byte) {
	text = bytes.TrimRight(text, "\n")
	text = slices.Clone(text[:min(len(text), maxLine)])
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.groups[name]
	if g == nil {
		return
	}
	g.lines = append(g.lines, line{g.next, at.UnixMilli(), text})
	g.next++
	g.bytes += len(text)
	for g.bytes > maxGroupBytes {
		g.bytes -= len(g.lines[0].text)
		g.lines[0].text = nil // a page that is being read has its own copy of the list
		g.lines = g.lines[1:]
	}
}

// Service is the table of operations for [awsjson.Handler].
func (s *Store) Service() awsjson.Service {
	return awsjson.Service{Target: "Logs_20140328", Version: "1.1", Operations: map[string]awsjson.Operation{
		"FilterLogEvents": func(_ context.Context, body []byte) (any, error) {
			var in filterInput
			unknown, err := awsjson.Decode(body, &in)
			if unknown != "" {
				return nil, errParameter("The member " + unknown + " is not supported by this embedded service.")
			}
			if err != nil {
				return nil, awsjson.Errorf("SerializationException", "the request is not the JSON of this operation")
			}
			return s.filter(in)
		},
	}}
}

func errParameter(text string) error { return awsjson.Errorf("InvalidParameterException", "%s", text) }

type filterInput struct {
	LogGroupName  string `json:"logGroupName"`
	FilterPattern string `json:"filterPattern"`
	NextToken     string `json:"nextToken"`
	StartTime     *int64 `json:"startTime"`
	EndTime       *int64 `json:"endTime"`
	Limit         *int   `json:"limit"`
}

type filterOutput struct {
	Events    []logEvent `json:"events"`
	NextToken string     `json:"nextToken,omitempty"`
}

type logEvent struct {
	EventID       string `json:"eventId"`
	LogStreamName string `json:"logStreamName"`
	Timestamp     int64  `json:"timestamp"`
	IngestionTime int64  `json:"ingestionTime"`
	Message       string `json:"message"`
}

func (s *Store) filter(in filterInput) (*filterOutput, error) {
	matches, err := matcher(in.FilterPattern)
	if err != nil {
		return nil, err
	}
	limit, from := maxPageLines, int64(0)
	if in.Limit != nil {
		limit = *in.Limit
	}
	if limit < 1 || limit > maxPageLines {
		return nil, errParameter("limit is 1 to 10000")
	}
	if in.NextToken != "" {
		if from, err = strconv.ParseInt(in.NextToken, 10, 64); err != nil || from < 0 {
			return nil, errParameter("The specified nextToken is invalid.")
		}
	}
	lines, found := s.linesFrom(in.LogGroupName, from)
	if !found {
		return nil, awsjson.Errorf("ResourceNotFoundException", "The specified log group does not exist.")
	}
	out, read := &filterOutput{Events: []logEvent{}}, 0
	for _, l := range lines {
		if len(out.Events) == limit || read > maxPageBytes {
			out.NextToken = strconv.FormatInt(l.number, 10)
			break
		}
		read += len(l.text)
		if (in.StartTime == nil || l.at >= *in.StartTime) && (in.EndTime == nil || l.at <= *in.EndTime) && matches(l.text) {
			out.Events = append(out.Events, logEvent{strconv.FormatInt(l.number, 10), "local", l.at, l.at, string(l.text)})
		}
	}
	return out, nil
}

// linesFrom returns the lines of a group from a number on. The list is a copy, its texts are not.
func (s *Store) linesFrom(name string, from int64) ([]line, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.groups[name]
	if g == nil {
		return nil, false
	}
	first := sort.Search(len(g.lines), func(i int) bool { return g.lines[i].number >= from })
	return slices.Clone(g.lines[first:]), true
}

// matcher returns the test of a filter pattern: { $.name = "value" }, or none.
func matcher(pattern string) (func(text []byte) bool, error) {
	if pattern == "" {
		return func([]byte) bool { return true }, nil
	}
	parts := regexp.MustCompile(`^\{ *\$\.([a-z_]+) *= *"([A-Za-z0-9_.:/-]+)" *\}$`).FindStringSubmatch(pattern)
	if parts == nil {
		return nil, errParameter("Invalid filter pattern: this embedded service supports { $.name = \"value\" }, with letters, digits and _.:/- in the value")
	}
	name, value := parts[1], []byte(parts[2])
	return func(text []byte) bool { // most lines lack the value: they are not read as JSON
		return bytes.Contains(text, value) && json.Valid(text) && jsonscan.Text(jsonscan.Get(text, name)) == parts[2]
	}, nil
}
