package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"unicode/utf8"

	"tollgate/pkg/redrive"
)

// exportedView is a line of an export. A payload that is no UTF-8 is in base64.
type exportedView struct {
	letterView
	Payload       *string `json:"payload,omitempty"`
	PayloadBase64 []byte  `json:"payload_base64,omitempty"`
}

// exporter writes dead letters as JSON lines.
type exporter struct {
	buffer  *bufio.Writer
	encoder *json.Encoder
	payload bool
	// An undecodable message is nowhere else: who deletes it keeps all of it.
	undecodable bool
	written     int
}

func newExporter(w io.Writer, payload bool) *exporter {
	b := bufio.NewWriter(w)
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	return &exporter{buffer: b, encoder: e, payload: payload}
}

func (e *exporter) write(l redrive.Letter, payload []byte) error {
	v := exportedView{letterView: letterOf(l)}
	if payload != nil && (e.payload || e.undecodable && l.Undecodable != "") {
		if utf8.Valid(payload) {
			text := string(payload)
			v.Payload = &text
		} else {
			v.PayloadBase64 = payload
		}
	}
	if err := e.encoder.Encode(v); err != nil {
		return fmt.Errorf("write dead letter: %w", err)
	}
	e.written++
	return nil
}

func (e *exporter) flush() error {
	if err := e.buffer.Flush(); err != nil {
		return fmt.Errorf("write dead letters: %w", err)
	}
	return nil
}

// exportFile is a new file that is either finished, and then on the disk, or removed.
type exportFile struct{ *os.File }

func createExport(name string) (*exportFile, error) {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil, usage("%s is there already: name another file with --out", name)
	}
	if err != nil {
		return nil, fmt.Errorf("create export: %w", err)
	}
	return &exportFile{f}, nil
}

// finish brings the file and its name to the disk, or removes it when there was an error
// before, which it returns.
func (f *exportFile) finish(before error) error {
	err := before
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = syncFolder(filepath.Dir(f.Name()))
	}
	if err != nil {
		os.Remove(f.Name())
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
