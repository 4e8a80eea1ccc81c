package stripe

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
)

// journal is the file behind a stand-in: one line for each event, each state of an
// object that no event says, and each change of a webhook endpoint, in order of arrival.
type journal struct {
	path  string
	file  lineFile
	lines int
	end   int64 // where the last whole line ends
}

// lineFile is what a journal does to its file once it is open.
type lineFile interface {
	io.WriterAt
	io.Closer
}

// entry is one line, with one of its members. Bodies go as base64, since their line
// breaks must survive.
type entry struct {
	Body     []byte    `json:"body,omitempty"` // of an event
	State    *state    `json:"state,omitempty"`
	Endpoint *endpoint `json:"endpoint,omitempty"`
}

// maxLine is the longest line: the largest event in base64, and its frame. A webhook
// endpoint, with all names there are and all metadata it may have, is shorter.
const maxLine = MaxEventBytes/3*4 + 16<<10

// openJournal opens or makes the file and returns the entries in it. A last line
// without its line break was half written; it is cut off.
func openJournal(path string) (*journal, []entry, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, nil, err
	}
	j := &journal{path: path, file: file}
	entries, err := j.read(file)
	if err == nil {
		err = file.Truncate(j.end)
	}
	if err != nil {
		return nil, nil, errors.Join(err, file.Close())
	}
	return j, entries, nil
}

// read returns the entries of all whole lines and notes where the last of them ends.
func (j *journal) read(from io.Reader) (entries []entry, err error) {
	r := bufio.NewReader(from)
	for {
		line, err := readLine(r)
		if errors.Is(err, io.EOF) {
			return entries, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%s: line %d is damaged: %w; remove the file, which only makes the stand-in forget its events", j.path, j.lines+1, err)
		}
		var e entry
		if err := json.Unmarshal(line, &e); err != nil {
			return nil, fmt.Errorf("%s: line %d is damaged: %w; remove the file, which only makes the stand-in forget its events", j.path, j.lines+1, err)
		}
		j.lines++
		j.end += int64(len(line))
		entries = append(entries, e)
	}
}

// readLine returns a line with its line break, or io.EOF when there is no whole one.
func readLine(r *bufio.Reader) (line []byte, err error) {
	for {
		part, err := r.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case err == nil:
			return line, nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, err
		case len(line) > maxLine:
			return nil, fmt.Errorf("longer than %d bytes", maxLine)
		}
	}
}

// append writes a line behind the last whole one. What a write that failed has left
// there, as on a full disk, is no line and is written over by the next.
func (j *journal) append(e entry) error {
	line, err := json.Marshal(e)
	if err != nil {
		return err
	}
	n, err := j.file.WriteAt(append(line, '\n'), j.end)
	if err != nil {
		return err
	}
	j.end += int64(n)
	j.lines++
	return nil
}

// rewrite puts a file with just these entries in the place of the old one.
func (j *journal) rewrite(entries iter.Seq[entry]) error {
	file, err := os.OpenFile(j.path+".new", os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	fresh := &journal{path: j.path, file: file}
	for e := range entries {
		if err = fresh.append(e); err != nil {
			break
		}
	}
	if err == nil {
		err = os.Rename(j.path+".new", j.path)
	}
	if err != nil {
		// Half a file must not hold the space that a full disk lacks.
		return errors.Join(err, file.Close(), os.Remove(j.path+".new"))
	}
	err = j.file.Close()
	*j = *fresh
	return err
}

func (j *journal) close() error { return j.file.Close() }
