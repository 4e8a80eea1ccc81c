package event_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"tollgate/pkg/event"
)

// FuzzAgainstTwoPasses: one pass reads what two passes read, and refuses the rest with their
// words.
func FuzzAgainstTwoPasses(f *testing.F) {
	seed(f)
	for _, body := range badBodies(f) {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body []byte) { agreesWithTwoPasses(t, body) })
}

// TestEveryByteOfAnEvent puts every byte at every place of two small events, and cuts them
// there.
func TestEveryByteOfAnEvent(t *testing.T) {
	for _, body := range []string{
		`{"id":"evt_1","object":"event","type":"a.b","created":-10.5e+2,"data":{"object":{"id":"\u00e9\n","x":[true,null, {}]}} }`,
		`{"id":"evt_2","object":"v2.core.event","type":"t","context":"c","related_object":{"id":"\ud83c\udf81","n":0}}`,
	} {
		for i := range len(body) {
			agreesWithTwoPasses(t, []byte(body[:i]))
			for c := range 256 {
				edited := []byte(body)
				edited[i] = byte(c)
				agreesWithTwoPasses(t, edited)
				agreesWithTwoPasses(t, slices.Insert([]byte(body), i, byte(c)))
			}
		}
	}
}

func agreesWithTwoPasses(t *testing.T, body []byte) {
	t.Helper()
	before := bytes.Clone(body)
	got, err := event.Parse(body)
	want, wantErr := parseTwice(body)
	if !reflect.DeepEqual(want, got) || words(err) != words(wantErr) {
		t.Fatalf("Parse of %q: %+v, %v; want %+v, %v", body, got, err, want, wantErr)
	}
	object, previous, err := event.Data(body)
	wantObject, wantPrevious, wantErr := dataTwice(body)
	if !bytes.Equal(object, wantObject) || !bytes.Equal(previous, wantPrevious) || words(err) != words(wantErr) {
		t.Fatalf("Data of %q: %s, %s, %v; want %s, %s, %v", body, object, previous, err, wantObject, wantPrevious, wantErr)
	}
	for _, raw := range []json.RawMessage{body, object} {
		is, err := event.ReadObject(raw)
		if want, wantErr := readObjectTwice(raw); is != want || words(err) != words(wantErr) {
			t.Fatalf("ReadObject of %q: %+v, %v; want %+v, %v", raw, is, err, want, wantErr)
		}
	}
	if !bytes.Equal(before, body) {
		t.Fatalf("%q became %q", before, body)
	}
}

func words(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// badBodies returns the bodies of the corpus of bad input that are written as text.
func badBodies(f *testing.F) (bodies [][]byte) {
	f.Helper()
	paths, err := filepath.Glob("../../testdata/bad/*.jsonl")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range paths {
		raw, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		lines := bufio.NewScanner(bytes.NewReader(raw))
		lines.Buffer(nil, len(raw)+1)
		for lines.Scan() {
			var line struct{ Body any }
			if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
				f.Fatalf("%s: %v", path, err)
			}
			if body := textOfPieces(line.Body); body != "" {
				bodies = append(bodies, []byte(body))
			}
		}
	}
	if len(bodies) < 100 {
		f.Fatalf("%d bodies in testdata/bad", len(bodies))
	}
	return bodies
}

func textOfPieces(body any) string {
	switch body := body.(type) {
	case string:
		return body
	case []any:
		var all strings.Builder
		for _, piece := range body {
			if m, ok := piece.(map[string]any); ok {
				piece = m["text"]
			}
			s, _ := piece.(string)
			all.WriteString(s)
		}
		return all.String()
	}
	return ""
}
