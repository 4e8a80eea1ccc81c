package dynamodb

import (
	"errors"
	"fmt"
	"slices"

	"tollgate/pkg/failpoint"
	"tollgate/pkg/local/aws/awsjson"
	"tollgate/pkg/local/aws/boltfile"
)

// maxBatch bounds how many writes share one commit.
const maxBatch = 256

// errClosed answers calls after Close.
var errClosed = errors.New("the database is closed")

// job is one write that waits for its commit.
//
// run reports whether it has written. An *awsjson.Error means that it has not; any other
// error rolls back the whole commit. It may run more than once, each time in another
// transaction.
type job struct {
	run  func(*transaction) (wrote bool, err error)
	err  error
	done chan struct{}
}

// update runs a write and returns once it is on disk. Writes that arrive during a commit
// share the next one. A rejected write also waits for the commit: its reason may be a write
// of the same commit.
func (d *DB) update(run func(*transaction) (bool, error)) error {
	j := &job{run: run, done: make(chan struct{})}
	select {
	case d.jobs <- j:
	case <-d.closing:
		return errClosed
	}
	<-j.done
	return j.err
}

// commitLoop is the only writer of the file.
func (d *DB) commitLoop() {
	expected := 1
	for {
		select {
		case j := <-d.jobs:
			batch := slices.Collect(boltfile.Gather(j, d.jobs, expected, maxBatch))
			expected = len(batch)
			d.commit(batch)
		case <-d.closing:
			return
		}
	}
}

// commit runs the jobs in one transaction. If one fails with an error of the file, all are
// rolled back and each runs in its own transaction.
func (d *DB) commit(batch []*job) {
	err := d.runAll(batch)
	if err != nil && len(batch) > 1 {
		for _, j := range batch {
			d.commit([]*job{j})
		}
		return
	}
	for _, j := range batch {
		if err != nil {
			j.err = err
		}
		close(j.done)
	}
}

// runAll returns the error that rolled back the transaction; rejections stay with their jobs.
func (d *DB) runAll(batch []*job) error {
	bolt, err := d.bolt.Begin(true)
	if err != nil {
		return fmt.Errorf("begin write: %w", err)
	}
	tx := &transaction{bolt, &d.schemas}
	wrote := false
	for _, j := range batch {
		w, err := j.run(tx)
		if _, refused := errors.AsType[*awsjson.Error](err); err != nil && !refused {
			tx.Rollback()
			return err
		}
		j.err = err
		wrote = wrote || w
	}
	if !wrote {
		return tx.Rollback() // nothing was written: all answers are from the state on disk
	}
	failpoint.At("dynamodb.commit.before")
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("commit write: %w", err)
	}
	failpoint.At("dynamodb.commit.after")
	return nil
}
