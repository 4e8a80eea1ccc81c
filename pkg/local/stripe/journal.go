package stripe

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

// entry is one line of the file that earlier versions kept, with one of its members.
type entry struct {
	Body     []byte    `json:"body"` // of an event
	State    *state    `json:"state"`
	Endpoint *endpoint `json:"endpoint"`
}

// importLines takes over the file of an earlier version, if there is one, and removes it.
// A last line without its line break was half written and is left out.
func (s *Fake) importLines(path string) error {
	file, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer file.Close()
	r := bufio.NewReader(file)
	for n := 1; ; n++ {
		line, err := r.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return os.Remove(path)
		}
		var e entry
		if err == nil {
			err = json.Unmarshal(line, &e)
		}
		if err == nil {
			err = s.restore(e)
		}
		if err != nil {
			return fmt.Errorf("%s: line %d is damaged: %w; remove the file, which only makes the fake Stripe forget its events", path, n, err)
		}
	}
}

// restore takes up one line.
func (s *Fake) restore(from entry) error {
	switch {
	case from.State != nil:
		put := from.State
		if put.Gone {
			return s.put([]*state{put})
		}
		each, err := parseObject(put.Body, put.Account)
		if err != nil {
			return err
		}
		each.objectKey, each.Put, each.At = put.objectKey, put.Put, put.At
		return s.put([]*state{each})
	case from.Endpoint != nil:
		return s.keepEndpoint(from.Endpoint)
	default:
		return s.Remember(from.Body)
	}
}
