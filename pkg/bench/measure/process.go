package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"tollgate/pkg/local"
)

// process is a server that this program started, with its children.
type process struct {
	local.Info // URL and Secret; the rest is of tollgate dev alone

	cmd   *exec.Cmd
	ended chan struct{}
}

// startTimeout bounds a start and a stop.
const startTimeout = 30 * time.Second

// start runs a server that prints its address as one JSON line; log gets its stderr.
func start(ctx context.Context, log io.Writer, binary string, args ...string) (*process, error) {
	p := &process{cmd: exec.CommandContext(ctx, binary, args...), ended: make(chan struct{})}
	p.cmd.Env = []string{"HOME=" + os.TempDir(), "PATH=/usr/bin:/bin"} // nothing names another system
	p.cmd.Stderr = log
	p.cmd.Cancel = func() error { return p.cmd.Process.Signal(os.Interrupt) }
	p.cmd.WaitDelay = startTimeout
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", binary, err)
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", binary, err)
	}
	ready := make(chan error, 1)
	go func() {
		defer close(p.ended)
		lines := bufio.NewReader(out)
		line, err := lines.ReadBytes('\n')
		if err == nil {
			err = json.Unmarshal(line, &p.Info)
		}
		ready <- err
		_, _ = io.Copy(io.Discard, lines)
		_ = p.cmd.Wait()
	}()
	select {
	case err = <-ready:
	case <-time.After(startTimeout):
		err = errors.New("it printed no address")
	}
	if err != nil {
		p.stop()
		return nil, fmt.Errorf("start %s: %w", binary, err)
	}
	return p, nil
}

// stop interrupts the server and kills it if it does not end.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(os.Interrupt)
	select {
	case <-p.ended:
	case <-time.After(startTimeout):
		_ = p.cmd.Process.Kill()
		<-p.ended
	}
}

// use is what the processes of one program have used.
type use struct {
	cpu time.Duration // of those that run and of children that ended
	rss float64       // MB
}

// ticks is the unit of /proc/<pid>/stat on Linux, whatever the kernel's own is.
const ticks = time.Second / 100

// usage reads /proc: the server and its children, by the name of the program. It is empty on a
// system without /proc.
func (p *process) usage() map[string]use {
	all := map[string]use{}
	paths, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range paths {
		raw, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		open, end := strings.IndexByte(string(raw), '('), strings.LastIndexByte(string(raw), ')')
		fields := strings.Fields(string(raw[end+1:])) // from the third on
		pid, parent := filepath.Base(filepath.Dir(path)), fields[1]
		self := strconv.Itoa(p.cmd.Process.Pid)
		if pid != self && parent != self {
			continue
		}
		name := string(raw[open+1 : end])
		u := all[name]
		for _, i := range []int{11, 12} {
			n, _ := strconv.ParseInt(fields[i], 10, 64)
			u.cpu += time.Duration(n) * ticks
		}
		pages, _ := strconv.ParseFloat(fields[21], 64)
		u.rss += pages * float64(os.Getpagesize()) / 1e6
		all[name] = u
	}
	return all
}
