package console

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

const (
	maxJobs    = 100 // kept, the oldest finished ones go first
	maxRunning = 16
	maxLines   = 200 // of progress
	maxLine    = 2000
	maxOutput  = 256 << 10

	askFor = 10 * time.Minute // a plan that was not confirmed by then is old
)

// NewJob is a change to run in the background.
type NewJob struct {
	Title   string
	Kind    string     // for its page: what its output is
	Command string     // the equivalent command line
	Page    string     // the job's page is this path and its id; default: /jobs/
	Form    url.Values // that started it, for its page
	// Run prints a result and lines of progress. It may run again for a plan that became old.
	Run func(ctx context.Context, io JobIO) error
}

// JobIO is what a job prints to and asks. All of it is safe for concurrent use.
type JobIO struct {
	Out, Progress io.Writer
	// Ask shows a question and the plan behind it on the job's page. It returns nil when a
	// person confirms, and an error when the job is stopped or not confirmed for ten minutes:
	// then nothing may be changed.
	Ask func(ctx context.Context, question string, plan any) error
}

// Jobs run changes in the background. A job outlives the page that started it, not the
// process. It is safe for concurrent use.
type Jobs struct {
	ctx      context.Context
	auditID  func(line string) string
	describe func(error) (int, string)
	group    sync.WaitGroup

	mu   sync.Mutex
	list []*job // oldest first
}

func newJobs(ctx context.Context, auditID func(string) string, describe func(error) (int, string)) *Jobs {
	return &Jobs{ctx: ctx, auditID: auditID, describe: describe}
}

// job is one of them. Its fields are guarded by Jobs.mu.
type job struct {
	NewJob
	id           string
	began, ended time.Time

	question  string
	plan      any
	asked     time.Time
	confirmed chan struct{} // closed when it is; nil: nothing was asked
	answered  bool

	progress, output tail
	err              error
	stopped          bool
	stop             context.CancelFunc
}

// Start runs a change and returns the path of its page.
func (j *Jobs) Start(of NewJob) (page string) {
	of.Page = cmp.Or(of.Page, jobsPath)
	n := &job{NewJob: of, id: strings.ToLower(rand.Text()[:16]), began: time.Now()}
	n.progress, n.output = tail{jobs: j, max: maxLines * maxLine}, tail{jobs: j, max: maxOutput}
	ctx, stop := context.WithCancel(j.ctx)
	n.stop = stop
	if running := j.add(n); running > maxRunning {
		stop()
		j.end(n, fmt.Errorf("%d jobs are running: wait for one, or stop it", maxRunning))
		return n.path()
	}
	j.group.Go(func() {
		defer stop()
		err := errors.New("it panicked")
		defer func() {
			if v := recover(); v != nil {
				err = fmt.Errorf("it panicked: %v", v)
			}
			j.end(n, err)
		}()
		err = of.Run(ctx, JobIO{Out: &n.output, Progress: &n.progress, Ask: func(ctx context.Context, question string, plan any) error {
			return j.ask(ctx, n, question, plan)
		}})
	})
	return n.path()
}

const jobsPath = "/jobs/"

func (n *job) path() string { return n.Page + n.id }

// errOldPlan ends a job whose question had no answer.
var errOldPlan = errors.New("the plan was not confirmed in time, so nothing was changed")

func (j *Jobs) ask(ctx context.Context, n *job, question string, plan any) error {
	confirmed := make(chan struct{})
	j.mu.Lock()
	n.question, n.plan, n.asked, n.confirmed, n.answered = question, plan, time.Now(), confirmed, false
	j.mu.Unlock()
	old := time.NewTimer(askFor)
	defer old.Stop()
	select {
	case <-confirmed:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w: nothing was changed", ctx.Err())
	case <-old.C:
		return errOldPlan
	}
}

// Confirm lets a job do what it asks for, and returns the path of the job's page. A job whose
// plan became old begins again instead, with a new plan and a new question.
func (j *Jobs) Confirm(id string) (page string, err error) {
	j.mu.Lock()
	n := j.find(id)
	if n == nil {
		j.mu.Unlock()
		return "", noJob(id)
	}
	if n.confirmed != nil && !n.answered && n.ended.IsZero() {
		n.answered = true
		close(n.confirmed)
	}
	again := errors.Is(n.err, errOldPlan)
	j.mu.Unlock()
	if again {
		return j.Start(n.NewJob), nil
	}
	return n.path(), nil
}

// Again starts a job that has ended once more.
func (j *Jobs) Again(id string) (page string, err error) {
	j.mu.Lock()
	n := j.find(id)
	again := n != nil && !n.ended.IsZero()
	j.mu.Unlock()
	switch {
	case n == nil:
		return "", noJob(id)
	case again:
		return j.Start(n.NewJob), nil
	}
	return n.path(), nil
}

func (j *Jobs) find(id string) *job {
	for _, n := range j.list {
		if n.id == id {
			return n
		}
	}
	return nil
}

// add returns how many are running with the new one.
func (j *Jobs) add(n *job) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.list = append(j.list, n)
	for i := 0; len(j.list) > maxJobs && i < len(j.list); i++ {
		if !j.list[i].ended.IsZero() {
			j.list = append(j.list[:i:i], j.list[i+1:]...)
			i--
		}
	}
	return j.countRunning()
}

func (j *Jobs) end(n *job, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	n.err, n.ended = err, time.Now()
}

func (j *Jobs) countRunning() (running int) {
	for _, n := range j.list {
		if n.ended.IsZero() {
			running++
		}
	}
	return running
}

func (j *Jobs) running() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.countRunning()
}

// Stop interrupts a job as Ctrl-C interrupts the command, and returns the path of its page.
func (j *Jobs) Stop(id string) (page string, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	n := j.find(id)
	if n == nil {
		return "", noJob(id)
	}
	n.stopped = n.stopped || n.ended.IsZero()
	n.stop()
	return n.path(), nil
}

func noJob(id string) error {
	return fmt.Errorf("job %s: %w: jobs end with the console; the audit trail has what they changed", id, ErrNotFound)
}

func (j *Jobs) wait(ctx context.Context) error {
	done := make(chan struct{})
	go func() { j.group.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for jobs: %w", ctx.Err())
	}
}

// tail keeps the end of what is written: at least max bytes and less than twice as many.
type tail struct {
	jobs    *Jobs
	max     int
	text    []byte
	dropped int
}

func (t *tail) Write(p []byte) (int, error) {
	t.jobs.mu.Lock()
	defer t.jobs.mu.Unlock()
	t.text = append(t.text, p...)
	if extra := len(t.text) - t.max; extra >= t.max {
		t.dropped += extra
		t.text = append([]byte(nil), t.text[extra:]...)
	}
	return len(p), nil
}

// JobView is a job at a moment.
type JobView struct {
	ID, Title, Kind, Command string
	Form                     url.Values // that started it
	Path                     string     // of its page
	Status                   string     // running, asking, done, failed or stopped
	Began, Ended             time.Time
	Progress                 []string // the newest lines
	Notes                    []string // lines for machines: JSON objects
	Output                   string   // its end
	Dropped                  int      // bytes of the output that are not kept
	Error, Next              string
	Audit                    []string // ids of entries

	Question string // what it asks or asked; "" for nothing
	Plan     any    // what the question is about, if the job has one
	Asked    time.Time
}

// Asking reports whether it waits for an answer.
func (v JobView) Asking() bool { return v.Status == "asking" }

// Took is how long the job has run.
func (v JobView) Took() time.Duration {
	if v.Ended.IsZero() {
		return time.Since(v.Began)
	}
	return v.Ended.Sub(v.Began)
}

// Running reports whether it runs.
func (v JobView) Running() bool { return v.Ended.IsZero() }

// List returns all jobs, newest first, without their output and with their newest lines only.
func (j *Jobs) List() (views []JobView) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for i := len(j.list) - 1; i >= 0; i-- {
		n := j.list[i]
		text := n.progress.text
		v := j.view(n, text[max(0, len(text)-maxLine):])
		v.Progress = v.Progress[max(0, len(v.Progress)-1):]
		views = append(views, v)
	}
	return views
}

// Get returns a job, or an error that wraps [ErrNotFound].
func (j *Jobs) Get(id string) (JobView, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if n := j.find(id); n != nil {
		v := j.view(n, n.progress.text)
		v.Output, v.Dropped = string(n.output.text), n.output.dropped
		return v, nil
	}
	return JobView{}, noJob(id)
}

func (j *Jobs) view(n *job, progress []byte) JobView {
	v := JobView{
		ID: n.id, Title: n.Title, Kind: n.Kind, Command: n.Command, Form: n.Form, Path: n.path(), Status: "running", Began: n.began, Ended: n.ended,
		Question: n.question, Plan: n.plan, Asked: n.asked,
	}
	for line := range strings.Lines(string(progress)) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "{"):
			v.Notes = append(v.Notes, line)
		case line != n.question: // the page has it apart
			v.Progress = append(v.Progress, line)
		}
		if id := j.auditID(line); id != "" && (len(v.Audit) == 0 || v.Audit[len(v.Audit)-1] != id) {
			v.Audit = append(v.Audit, id)
		}
	}
	v.Progress = v.Progress[max(0, len(v.Progress)-maxLines):]
	switch {
	case n.ended.IsZero():
		if n.confirmed != nil && !n.answered {
			v.Status = "asking"
		}
	case n.err == nil:
		v.Status = "done"
	case n.stopped:
		v.Status = "stopped"
	default:
		v.Status = "failed"
	}
	if n.err != nil {
		v.Error = n.err.Error()
		_, v.Next = j.describe(n.err)
	}
	return v
}

// pages are the views of jobs.
func (j *Jobs) pages() []Page {
	views := Parse(assets, "assets/jobs.html")
	one := Parse(assets, "assets/job.html")
	return []Page{
		{Path: "/jobs", Title: "Jobs", Nav: "Fix/Jobs", Views: views, Every: time.Second, Load: func(context.Context, *http.Request) (any, error) {
			return j.List(), nil
		}},
		{Path: "/jobs/{id}", Title: "Job", Nav: "Fix/Jobs", Views: one, Every: 500 * time.Millisecond, Load: func(_ context.Context, r *http.Request) (any, error) {
			return j.Get(r.PathValue("id"))
		}},
	}
}

func (j *Jobs) actions() []Action {
	of := func(name string, do func(id string) (string, error)) Action {
		return Action{Path: jobsPath + "{id}/" + name, Do: func(_ context.Context, form url.Values, _ *Jobs) (string, error) { return do(form.Get("id")) }}
	}
	return []Action{of("stop", j.Stop), of("confirm", j.Confirm), of("again", j.Again)}
}

type jobsKey struct{}

// JobsOf returns the jobs of the console that serves a page's request.
func JobsOf(ctx context.Context) *Jobs {
	jobs, _ := ctx.Value(jobsKey{}).(*Jobs)
	return jobs
}
