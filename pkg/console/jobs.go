package console

import (
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
)

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
	id, title, command string
	began, ended       time.Time
	progress, output   tail
	err                error
	stopped            bool
	stop               context.CancelFunc
}

// Start runs a change and returns its id; its page is /jobs/ID. command is the equivalent
// command line. run prints its result to out, and lines of progress.
func (j *Jobs) Start(title, command string, run func(ctx context.Context, out, progress io.Writer) error) (id string) {
	n := &job{id: strings.ToLower(rand.Text()[:16]), title: title, command: command, began: time.Now()}
	n.progress, n.output = tail{jobs: j, max: maxLines * maxLine}, tail{jobs: j, max: maxOutput}
	ctx, stop := context.WithCancel(j.ctx)
	n.stop = stop
	if running := j.add(n); running > maxRunning {
		stop()
		j.end(n, fmt.Errorf("%d jobs are running: wait for one, or stop it", maxRunning))
		return n.id
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
		err = run(ctx, &n.output, &n.progress)
	})
	return n.id
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

// Stop interrupts a job as Ctrl-C interrupts the command.
func (j *Jobs) Stop(id string) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, n := range j.list {
		if n.id == id {
			n.stopped = n.ended.IsZero()
			n.stop()
			return nil
		}
	}
	return noJob(id)
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

// tail keeps the end of what is written.
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
	if extra := len(t.text) - t.max; extra > 0 {
		t.dropped += extra
		t.text = append([]byte(nil), t.text[extra:]...)
	}
	return len(p), nil
}

// JobView is a job at a moment.
type JobView struct {
	ID, Title, Command string
	Status             string // running, done, failed or stopped
	Began, Ended       time.Time
	Progress           []string // the newest lines
	Output             string   // its end
	Dropped            int      // bytes of the output that are not kept
	Error, Next        string
	Audit              []string // ids of entries
}

// Took is how long the job has run.
func (v JobView) Took() time.Duration {
	if v.Ended.IsZero() {
		return time.Since(v.Began)
	}
	return v.Ended.Sub(v.Began)
}

// Running reports whether it runs.
func (v JobView) Running() bool { return v.Ended.IsZero() }

// List returns all jobs, newest first.
func (j *Jobs) List() (views []JobView) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for i := len(j.list) - 1; i >= 0; i-- {
		views = append(views, j.view(j.list[i]))
	}
	return views
}

// Get returns a job, or an error that wraps [ErrNotFound].
func (j *Jobs) Get(id string) (JobView, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, n := range j.list {
		if n.id == id {
			return j.view(n), nil
		}
	}
	return JobView{}, noJob(id)
}

func (j *Jobs) view(n *job) JobView {
	v := JobView{
		ID: n.id, Title: n.title, Command: n.command, Status: "running", Began: n.began, Ended: n.ended,
		Output: string(n.output.text), Dropped: n.output.dropped,
	}
	for line := range strings.Lines(string(n.progress.text)) {
		line = strings.TrimSpace(line)
		v.Progress = append(v.Progress, line)
		if id := j.auditID(line); id != "" && (len(v.Audit) == 0 || v.Audit[len(v.Audit)-1] != id) {
			v.Audit = append(v.Audit, id)
		}
	}
	v.Progress = v.Progress[max(0, len(v.Progress)-maxLines):]
	switch {
	case n.ended.IsZero():
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

func (j *Jobs) action() Action {
	return Action{Path: "/jobs/{id}/stop", Do: func(_ context.Context, form url.Values, _ *Jobs) (string, error) {
		id := form.Get("id")
		return "/jobs/" + url.PathEscape(id), j.Stop(id)
	}}
}
