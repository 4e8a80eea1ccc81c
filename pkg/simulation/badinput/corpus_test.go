package badinput

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"tollgate/pkg/handlers/golden"
)

const corpus = "../../../testdata/bad"

// row is one input of the corpus with its expectation.
type row struct {
	Name string `json:"name"`
	Want string `json:"want"` // "400 not_event", "200 applied", "200 parked livemode", …

	// A request; omitted members are those of a valid delivery.
	Method    *string `json:"method"`
	Path      *string `json:"path"`
	Media     *string `json:"media"`
	Without   string  `json:"without"`    // a header that is not sent
	SigHeader string  `json:"sig_header"` // another spelling of Stripe-Signature
	Signature texts   `json:"signature"`  // one value for each header
	At        int64   `json:"at"`         // {t} in seconds from now
	Body      parts   `json:"body"`
	Signed    parts   `json:"signed"` // the bytes that the signature is over, if not the body
	Forms     []form  `json:"forms"`  // only these; default all that can carry it

	Payload parts `json:"payload"` // instead: a whole event of a gateway
	Message parts `json:"message"` // instead: a message on the queue

	made  []byte // Body's bytes
	Shows parts  `json:"shows"` // the object as Stripe has it; default the event's own
	Gone  bool   `json:"gone"`  // Stripe has neither object nor event
}

// texts is one string or a list of them.
type texts []string

func (t *texts) UnmarshalJSON(raw []byte) error {
	if raw[0] == '[' {
		return json.Unmarshal(raw, (*[]string)(t))
	}
	*t = texts{""}
	return json.Unmarshal(raw, &(*t)[0])
}

// parts are bytes in pieces, which keeps large and odd inputs readable.
type parts []part

// part is a piece: a string, or one of text, base64, event and noise, with operations on it in the
// order of the fields.
type part struct {
	Text    string      `json:"text"`
	Base64  string      `json:"base64"`
	Event   string      `json:"event"` // a golden event's type
	Noise   int         `json:"noise"` // number of hex digits that do not compress
	Replace [][2]string `json:"replace"`
	Cut     int         `json:"cut"` // number of bytes to keep
	Times   int         `json:"times"`
}

func (p *parts) UnmarshalJSON(raw []byte) error {
	if raw[0] != '[' {
		raw = bytes.Join([][]byte{{'['}, raw, {']'}}, nil)
	}
	return strict(raw, (*[]part)(p))
}

func (p *part) UnmarshalJSON(raw []byte) error {
	if raw[0] == '"' {
		return json.Unmarshal(raw, &p.Text)
	}
	type plain part
	return strict(raw, (*plain)(p))
}

func strict(raw []byte, to any) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	return d.Decode(to)
}

// bytes joins the pieces. A replacement or a cut without effect fails the test.
func (p parts) bytes(t testing.TB) []byte {
	t.Helper()
	var out bytes.Buffer
	for _, piece := range p {
		out.Write(piece.bytes(t))
	}
	return out.Bytes()
}

func (p part) bytes(t testing.TB) []byte {
	t.Helper()
	b := []byte(p.Text)
	var err error
	switch {
	case p.Base64 != "":
		b, err = base64.StdEncoding.DecodeString(p.Base64)
	case p.Event != "":
		b, err = golden.Load(p.Event)
	case p.Noise > 0:
		b = noise(p.Noise)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range p.Replace {
		if !bytes.Contains(b, []byte(r[0])) {
			t.Fatalf("there is no %s to replace", r[0])
		}
		b = bytes.Replace(b, []byte(r[0]), []byte(r[1]), 1)
	}
	if p.Cut > 0 {
		if p.Cut >= len(b) {
			t.Fatalf("a cut at %d of %d bytes", p.Cut, len(b))
		}
		b = b[:p.Cut]
	}
	if p.Times > 0 {
		b = bytes.Repeat(b, p.Times)
	}
	return b
}

// noise is a chain of digests, the same on every machine.
func noise(n int) []byte {
	var out []byte
	for i := 0; len(out) < n; i++ {
		sum := sha256.Sum256([]byte(strconv.Itoa(i)))
		out = hex.AppendEncode(out, sum[:])
	}
	return out[:n]
}

// filled returns text with the row's body for its placeholders: {body} as a JSON string, {base64},
// and {zstd} compressed and in base64.
func (r row) filled(t testing.TB, text []byte, body []byte) []byte {
	t.Helper()
	for name, value := range map[string]func() string{
		"{body}":   func() string { return quoted(t, string(body)) },
		"{base64}": func() string { return base64.StdEncoding.EncodeToString(body) },
		"{zstd}":   func() string { return base64.StdEncoding.EncodeToString(packed(t, body)) },
	} {
		if bytes.Contains(text, []byte(name)) {
			text = bytes.ReplaceAll(text, []byte(name), []byte(value()))
		}
	}
	return text
}

func quoted(t testing.TB, s string) string {
	t.Helper()
	out, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func packed(t testing.TB, b []byte) []byte {
	t.Helper()
	z, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	return z.EncodeAll(b, nil)
}

// family is one file of the corpus.
type family struct {
	name string
	rows []row
}

// families reads the corpus. A malformed line, one without a name or expectation, or a duplicate
// name fails the test.
func families(t testing.TB) []family {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(corpus, "*.jsonl"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no corpus in %s: %v", corpus, err)
	}
	var all []family
	for _, path := range paths {
		f := family{name: strings.TrimSuffix(filepath.Base(path), ".jsonl")}
		if f.rows, err = readRows(path); err != nil {
			t.Fatal(err)
		}
		all = append(all, f)
	}
	return all
}

func readRows(path string) (rows []row, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	seen := map[string]bool{}
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for n := 1; lines.Scan(); n++ {
		if len(lines.Bytes()) == 0 {
			continue
		}
		var r row
		if err := strict(lines.Bytes(), &r); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", path, n, err)
		}
		if r.Name == "" || r.Want == "" || seen[r.Name] {
			return nil, fmt.Errorf("%s:%d: %q has no name of its own, or expects nothing", path, n, r.Name)
		}
		seen[r.Name] = true
		rows = append(rows, r)
	}
	return rows, lines.Err()
}
