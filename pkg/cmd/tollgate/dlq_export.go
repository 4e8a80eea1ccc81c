package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"tollgate/pkg/redrive"
)

// dlqExportCmd writes dead letters as JSON lines.
type dlqExportCmd struct {
	letterFilter
	waitHidden
	Out     string `help:"File to write, readable by its owner alone; it must not exist. Default: stdout." placeholder:"FILE"`
	Payload bool   `help:"Write the events' bodies as well: they hold customers' data. Needs --reason, and is audited."`
	Why     string `name:"reason" aliases:"note" help:"Why the bodies are needed, for the audit trail." placeholder:"TEXT"`
	Limit   int    `default:"100000" help:"Dead letters written at most (1 to 100000)."`
}

// Help returns the text that --help prints with the flags.
func (dlqExportCmd) Help() string {
	return `One JSON object a line: the event's header and why its message gave up, as dlq show --json has them, without the payload. Nothing is deleted or sent, and Ctrl-C gives everything back; a file that was not finished is removed.

  tollgate dlq export --type invoice.* --out letters.jsonl
  tollgate dlq export --id evt_1 --payload --reason "ticket 1204"`
}

// Run writes the selected letters; none is no failure.
func (c *dlqExportCmd) Run(ctx context.Context, a *app) error {
	f, err := c.filter(time.Now())
	switch {
	case err != nil:
		return err
	case c.Limit < 1 || c.Limit > redrive.MaxLetters:
		return usage("--limit is 1 to %d", redrive.MaxLetters)
	case c.Payload && strings.TrimSpace(c.Why) == "":
		return usage(`--payload needs --reason "why customers' data is needed"`)
	}
	t, err := a.target(ctx)
	if err != nil {
		return err
	}
	export := func(ctx context.Context) (string, error) {
		n, err := c.export(ctx, a, t, f)
		return fmt.Sprintf("wrote %d dead letters", n), err
	}
	if !c.Payload {
		_, err := export(ctx)
		return err
	}
	detail := fmt.Sprintf("%s; with payload", f)
	return a.audited(ctx, t, auditOf{verb: "dlq export", why: c.Why, detail: detail}, export)
}

func (c *dlqExportCmd) export(ctx context.Context, a *app, t target, f redrive.Filter) (written int, err error) {
	out := io.Writer(a.out)
	var file *exportFile
	if c.Out != "" {
		if file, err = createExport(c.Out); err != nil {
			return 0, err
		}
		out = file
	}
	e := newExporter(out, c.Payload)
	plan, rest, err := a.survey(ctx, t, "dlq export", redrive.Selection{Filter: f, Limit: c.Limit, Each: e.write}, c.waitHidden)
	err = errors.Join(err, e.flush())
	if file != nil {
		err = file.finish(err)
	}
	if err != nil {
		return e.written, err
	}
	if file != nil {
		a.line(exportView{c.Out, e.written, rest.Hidden, rest.Certain}, fmt.Sprintf("wrote %d dead letters to %s", e.written, c.Out))
	}
	if plan.More {
		fmt.Fprintf(a.err, "wrote %d dead letters; there may be more\n", e.written)
	}
	return e.written, t.unseen(plan.Read, rest)
}

// exportView says for machines what was written to a file.
type exportView struct {
	File    string `json:"file"`
	Letters int    `json:"letters"`
	Hidden  int    `json:"hidden"`  // by another reader, and not written
	Certain bool   `json:"certain"` // no letter was left unread
}
