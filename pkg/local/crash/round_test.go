//go:build unix

package crash

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"tollgate/pkg/failpoint"
	"tollgate/pkg/limits"
)

const (
	ingests   = 4 // processes at once
	consumers = 6

	pausedAtOnce = 3 // consumers

	// timeScale makes the visibility timeout 9 s and the lease 1.6 s. On a busy machine, shorter
	// times would leave none for writes, and a resumed consumer would write nothing late.
	timeScale = 20
	// progress is the number of events begun between two kills, so that the kills hit different
	// messages and not one until its back-off takes minutes.
	progress = 6
)

// lease is the longest time until another attempt may take over.
func lease() time.Duration {
	l := limits.Scaled(timeScale)
	return l.ConsumerTimeout + l.LeaseSlack + l.TakeOverMargin
}

// row is one line of the matrix.
type row struct {
	point
	fired      int
	events     int
	refused    int64 // deliveries not answered 200
	retried    int   // events done by a later attempt
	superseded int   // attempts whose write was superseded
	recovered  time.Duration
	took       time.Duration
	faults     []string
}

// round runs one point: kills or pauses under load, then the check of the table. An error means that
// the round could not be run.
func round(t *testing.T, from string, p point, repeats int) (r row, err error) {
	t.Helper()
	began := time.Now()
	r.point = p
	s, err := newSystem(t, from, p)
	if err != nil {
		return r, err
	}
	l := startLoad(s, p)
	ended := false
	end := func() {
		if !ended {
			ended, r.events = true, l.end()
		}
	}
	defer end()
	switch {
	case p.action == failpoint.Stop:
		r.fired, err = s.pauses(p, repeats)
	case p.who == command:
		r.fired, err = s.killsOfCommand(p, repeats)
	default:
		r.fired, err = s.kills(p, repeats, l)
	}
	if err != nil {
		return r, fmt.Errorf("%w: %s", err, s.logTail(2000))
	}
	last := time.Now()
	end()
	r.faults = s.settle(p)
	r.recovered = time.Since(last)
	r.took = time.Since(began)
	if len(r.faults) > 0 {
		return r, nil // unfinished events are neither lost nor done
	}
	v, err := s.check(l, r.events)
	r.refused, r.retried, r.superseded = l.refused.Load(), v.retried, s.logged("outcome=superseded")
	r.faults = append(r.faults, v.faults...)
	if p.sends && err == nil {
		v, err = s.checkSent(r.events)
		r.faults = append(r.faults, v.faults...)
	}
	if strings.Contains(s.logTail(1<<30), "panic") {
		r.faults = append(r.faults, "the log has a panic")
	}
	return r, err
}

// kills kills a function or the system at a point, one after the other.
func (s *system) kills(p point, repeats int, load *load) (fired int, err error) {
	for ; fired < repeats; fired++ {
		if err := s.arm(p.name, failpoint.Kill); err != nil {
			return fired, err
		}
		pid, err := s.fired(p.name, failpoint.Kill)
		if err != nil {
			return fired, err
		}
		switch {
		case p.fresh:
			continue // the host starts the next
		case p.who == host:
			l := s.life.Load()
			if pid != l.cmd.Process.Pid {
				return fired, fmt.Errorf("process %d came to %s, not tollgate dev", pid, p.name)
			}
			<-l.gone
			if err := s.start(); err != nil {
				return fired, err
			}
		default:
			if err := dead(pid); err != nil {
				return fired, err
			}
		}
		if err := load.begins(progress); err != nil {
			return fired, err
		}
	}
	return fired, nil
}

// killsOfCommand kills one redrive after the other at a point.
func (s *system) killsOfCommand(p point, repeats int) (fired int, err error) {
	end := time.Now().Add(time.Duration(repeats)*10*time.Second + patience)
	for fired < repeats {
		if time.Now().After(end) {
			return fired, fmt.Errorf("only %d redrives came to %s", fired, p.name)
		}
		if err := s.arm(p.name, failpoint.Kill); err != nil {
			return fired, err
		}
		text, err := s.tollgate("redrive", "--all", "--rate", "500")
		if err == nil {
			continue // it found no dead letter
		}
		if !strings.Contains(err.Error(), "killed") {
			if strings.Contains(text, "not seen again") || strings.Contains(text, "hidden by another reader") || strings.Contains(text, "the queue may not be empty") {
				continue // hidden by the killed run
			}
			return fired, fmt.Errorf("redrive: %w: %s", err, text)
		}
		if _, err := s.fired(p.name, failpoint.Kill); err != nil {
			return fired, err
		}
		fired++
	}
	return fired, nil
}

// pauses pauses consumers at a point for longer than their lease, some at once.
func (s *system) pauses(p point, repeats int) (fired int, err error) {
	var waking group
	free := make(chan struct{}, pausedAtOnce)
	for ; fired < repeats && err == nil; fired++ {
		free <- struct{}{}
		var pid int
		if err = s.arm(p.name, failpoint.Stop); err == nil {
			pid, err = s.fired(p.name, failpoint.Stop)
		}
		if err != nil {
			break
		}
		waking.run(func() error {
			defer func() { <-free }()
			// Long enough for a copy of its messages to be taken over.
			<-time.After(p.takenOver() + time.Second)
			if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
				return fmt.Errorf("process %d did not live through its pause: %w", pid, err)
			}
			return nil
		})
	}
	return fired, errors.Join(err, waking.wait())
}

// settle waits until the queues are empty, redrives the load's dead letters, and returns what is
// stuck.
func (s *system) settle(p point) (faults []string) {
	fault := func(err error) bool {
		if err != nil {
			faults = append(faults, "stuck: "+err.Error())
		}
		return err != nil
	}
	info := s.info()
	if fault(s.empty(info.QueueURL, within())) {
		return faults
	}
	if p.sends && fault(s.allSent(within())) {
		return faults
	}
	if p.dead == 0 && !slices.Contains(p.load, "refuses_first") {
		if n, err := s.depth(info.DLQURL); err != nil || n > 0 {
			faults = append(faults, fmt.Sprintf("%d dead letters (%v), want none: nothing was wrong with an event", n, err))
		}
		return faults
	}
	fault(eventually(within(), 100*time.Millisecond, func() error {
		if text, err := s.tollgate("redrive", "--all", "--rate", "500"); err != nil {
			return fmt.Errorf("redrive: %w: %s", err, text)
		}
		if n, err := s.depth(info.DLQURL); err != nil || n > 0 {
			return fmt.Errorf("%d dead letters are left (%v)", n, err)
		}
		return nil
	}))
	fault(s.empty(info.QueueURL, within()))
	return faults
}
