package deadletters

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode/utf8"

	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/redrive"
)

// Export writes dead letters as JSON lines.
type Export struct {
	filterFlags
	waitFlag
	limitFlag
	Out     string `help:"File to write, readable by its owner alone; it must not exist. Default: stdout." placeholder:"FILE"`
	Payload bool   `help:"Write the events' bodies as well: they hold customers' data. Needs --note, and is audited."`
	Note    string `help:"Why the bodies are needed, for the audit trail." placeholder:"TEXT"`
}

func (Export) Help() string {
	return `One JSON object a line: the event's header and the cause, as dlq show --json prints them, without the payload. Nothing is deleted or sent. An incomplete file is removed, also on Ctrl-C.

  tollgate dlq export --type invoice.* --out dead-letters.jsonl
  tollgate dlq export --id evt_1 --payload --note "ticket 1204"`
}

// Run writes the selected messages; none is not a failure.
func (c *Export) Run(ctx context.Context, a *verb.App) error {
	f, err := c.filter(time.Now())
	if err == nil {
		err = c.check()
	}
	if err != nil {
		return err
	}
	if c.Payload && strings.TrimSpace(c.Note) == "" {
		return verb.Usage(`--payload needs --note "why customers' data is needed"`)
	}
	w, err := open(ctx, a, "dlq export")
	if err != nil {
		return err
	}
	export := func(ctx context.Context) (string, error) {
		n, err := c.export(ctx, w, f)
		return fmt.Sprintf("wrote %d dead letters", n), err
	}
	if !c.Payload {
		_, err := export(ctx)
		return err
	}
	detail := fmt.Sprintf("%s; with payload", f)
	return a.Audited(ctx, w.target, verb.Audit{Verb: "dlq export", Note: c.Note, Detail: detail}, export)
}

func (c *Export) export(ctx context.Context, w *work, f redrive.Filter) (written int, err error) {
	e, err := newExporter(c.Out, w.Out, c.Payload)
	if err != nil {
		return 0, err
	}
	p, err := w.plan(ctx, redrive.Selection{Filter: f, Limit: c.Limit, Each: e.write, WaitHidden: c.WaitHidden})
	if err = e.finish(err); err != nil {
		return e.written, err
	}
	if c.Out != "" {
		w.Line(exportView{c.Out, e.written, p.Hidden, p.Certain}, fmt.Sprintf("wrote %d dead letters to %s", e.written, c.Out))
	}
	if p.More {
		fmt.Fprintf(w.Err, "wrote %d dead letters; there may be more\n", e.written)
	}
	return e.written, w.unseen(p)
}

type exportView struct {
	File    string `json:"file"`
	Letters int    `json:"letters"`
	Hidden  int    `json:"hidden"`  // by another reader, and not written
	Certain bool   `json:"certain"` // every message of the queue was read
}

// exportedView is a line of an export. A payload that is not UTF-8 is in base64.
type exportedView struct {
	messageView
	Payload       *string `json:"payload,omitempty"`
	PayloadBase64 []byte  `json:"payload_base64,omitempty"`
}

type exporter struct {
	file    *os.File // nil: it writes to stdout
	buffer  *bufio.Writer
	encoder *json.Encoder
	payload bool
	// The payload of a message that cannot be read, too: a purge has the only copy of it.
	undecodable bool
	written     int
}

// newExporter writes to a new file, or to stdout when there is no name.
func newExporter(name string, stdout io.Writer, payload bool) (*exporter, error) {
	e := &exporter{payload: payload, buffer: bufio.NewWriter(stdout)}
	if name != "" {
		f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if errors.Is(err, fs.ErrExist) {
			return nil, verb.Usage("%s exists: name another file with --out", name)
		}
		if err != nil {
			return nil, fmt.Errorf("create export: %w", err)
		}
		e.file, e.buffer = f, bufio.NewWriter(f)
	}
	e.encoder = json.NewEncoder(e.buffer)
	e.encoder.SetEscapeHTML(false)
	return e, nil
}

func (e *exporter) write(d redrive.DeadLetter, payload []byte) (more bool, err error) {
	v := exportedView{messageView: viewOf(d)}
	if payload != nil && (e.payload || e.undecodable && d.Undecodable != "") {
		if utf8.Valid(payload) {
			text := string(payload)
			v.Payload = &text
		} else {
			v.PayloadBase64 = payload
		}
	}
	if err := e.encoder.Encode(v); err != nil {
		return false, fmt.Errorf("write dead letter: %w", err)
	}
	e.written++
	return true, nil
}

// finish syncs the file and its folder, or removes the file when there was an error before,
// which it returns.
func (e *exporter) finish(before error) error {
	if err := e.buffer.Flush(); err != nil {
		before = errors.Join(before, fmt.Errorf("write dead letters: %w", err))
	}
	if e.file == nil {
		return before
	}
	err := before
	if err == nil {
		err = e.file.Sync()
	}
	err = errors.Join(err, e.file.Close())
	if err == nil {
		err = syncFolder(filepath.Dir(e.file.Name()))
	}
	if err != nil {
		os.Remove(e.file.Name())
	}
	if err != nil && before == nil {
		return fmt.Errorf("finish export: %w", err)
	}
	return err
}

func syncFolder(name string) error {
	d, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
