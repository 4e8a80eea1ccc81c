package lambdahost

import (
	"bytes"
	"io"
	"sync"
)

// MaxLineBytes bounds one line of a function's output; a longer one is split.
const MaxLineBytes = 64 << 10

// lineWriter turns a process's output into one Write per line. Several processes share
// the mutex, so that lines do not mix.
type lineWriter struct {
	out  io.Writer
	turn *sync.Mutex
	rest []byte // the line that has no newline yet
}

// Write never fails: a log error must not end the function.
func (w *lineWriter) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		line, after, found := bytes.Cut(p, []byte{'\n'})
		if room := MaxLineBytes - len(w.rest); len(line) > room {
			line, after, found = p[:room], p[room:], true
		}
		w.rest = append(w.rest, line...)
		if !found {
			break
		}
		w.flush()
		p = after
	}
	return n, nil
}

// Close writes a last line that has no newline.
func (w *lineWriter) Close() {
	if len(w.rest) > 0 {
		w.flush()
	}
}

func (w *lineWriter) flush() {
	w.turn.Lock()
	defer w.turn.Unlock()
	w.out.Write(append(w.rest, '\n'))
	w.rest = w.rest[:0]
	if cap(w.rest) > MaxLineBytes/4 {
		w.rest = nil // free the memory of a long line
	}
}
