package httptarget

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	official "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"tollgate/pkg/delivery"
	"tollgate/pkg/stdwebhooks"
)

// The library of npm that receivers in JavaScript use; install-oracles.sh installs it.
const (
	npmLibrary = "standardwebhooks"
	npmVersion = "1.1.1"
)

const (
	oldSecret  = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	newSecret  = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oDQUJDREVGR0g="
	alien      = "whsec_zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz"
	privateKey = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg=="
	publicKey  = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4="
)

// nodeReceiver starts testdata/receiver.cjs and returns its URL. Without Node or the library the
// test is skipped, or fails if TOLLGATE_ORACLES is "required".
func nodeReceiver(t *testing.T) string {
	t.Helper()
	absent := t.Skipf
	if os.Getenv("TOLLGATE_ORACLES") == "required" {
		absent = t.Fatalf
	}
	dir := os.Getenv("TOLLGATE_ORACLES_DIR")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", ".build", "oracles")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		t.Fatal(err)
	}
	var pkg struct{ Version string }
	raw, err := os.ReadFile(filepath.Join(dir, "node_modules", npmLibrary, "package.json"))
	if err != nil || json.Unmarshal(raw, &pkg) != nil || pkg.Version != npmVersion {
		absent("npm's %s %s is not installed, see pkg/local/aws/conformance/install-oracles.sh", npmLibrary, npmVersion)
	}
	node, err := exec.LookPath("node")
	if err != nil {
		absent("node is not installed")
	}
	cmd := exec.Command(node, "testdata/receiver.cjs", dir, publicKey, oldSecret, newSecret)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		cmd.Wait()
	})
	port, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("node did not start: %v", err)
	}
	return "http://127.0.0.1:" + strings.TrimSpace(port)
}

// serve answers 204 to requests that verify accepts, else 400.
func serve(t *testing.T, verify func(http.Header, []byte) error) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			err = verify(r.Header, body)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

func goLibrary(t *testing.T, secret string) string {
	t.Helper()
	w, err := official.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	return serve(t, func(h http.Header, body []byte) error { return w.Verify(body, h) })
}

func ours(t *testing.T, keys string) string {
	t.Helper()
	k, err := stdwebhooks.Parse(keys)
	if err != nil {
		t.Fatal(err)
	}
	return serve(t, func(h http.Header, body []byte) error { _, err := k.Verify(h, body, time.Now()); return err })
}

// manipulation changes a request on its way.
type manipulation struct {
	name string
	edit func(t *testing.T, h http.Header, body []byte) []byte
}

func manipulations() []manipulation {
	set := func(name string, value func(old string) string) func(*testing.T, http.Header, []byte) []byte {
		return func(_ *testing.T, h http.Header, body []byte) []byte { h.Set(name, value(h.Get(name))); return body }
	}
	each := func(edit func(signature string) string) func(*testing.T, http.Header, []byte) []byte {
		return set("webhook-signature", func(old string) string {
			all := strings.Fields(old)
			for i := range all {
				all[i] = edit(all[i])
			}
			return strings.Join(all, " ")
		})
	}
	signed := func(keys string, id string, after time.Duration) func(*testing.T, http.Header, []byte) []byte {
		return func(t *testing.T, h http.Header, body []byte) []byte {
			k, err := stdwebhooks.Parse(keys)
			if err == nil {
				err = k.Sign(h, stdwebhooks.Message{ID: id, At: time.Now().Add(after), Body: body})
			}
			if err != nil {
				t.Fatal(err)
			}
			return body
		}
	}
	const all = oldSecret + " " + newSecret + " " + privateKey
	id := aDelivery().ID
	return []manipulation{
		{"a byte of the body", func(_ *testing.T, _ http.Header, b []byte) []byte {
			return bytes.Replace(b, []byte("4200"), []byte("4201"), 1)
		}},
		{"the body reformatted", func(t *testing.T, _ http.Header, b []byte) []byte {
			var out bytes.Buffer
			if err := json.Indent(&out, b, "", "  "); err != nil {
				t.Fatal(err)
			}
			return out.Bytes()
		}},
		{"a line end after the body", func(_ *testing.T, _ http.Header, b []byte) []byte { return append(b, '\n') }},
		{"an empty body", func(*testing.T, http.Header, []byte) []byte { return nil }},
		{"a replay under another id", set("webhook-id", func(string) string { return "msg_another" })},
		{"an empty id", set("webhook-id", func(string) string { return "" })},
		{"a later timestamp", set("webhook-timestamp", func(old string) string {
			n, _ := strconv.Atoi(old)
			return strconv.Itoa(n + 1)
		})},
		{"no number as timestamp", set("webhook-timestamp", func(string) string { return "now" })},
		{"signed six minutes ago", signed(all, id, -6*time.Minute)},
		{"signed six minutes ahead", signed(all, id, 6*time.Minute)},
		{"signed with another secret", signed(alien, id, 0)},
		{"the signature of another message", func(t *testing.T, h http.Header, body []byte) []byte {
			other := http.Header{}
			signed(all, "msg_another", 0)(t, other, body)
			h.Set("webhook-signature", other.Get("webhook-signature"))
			return body
		}},
		{"truncated signatures", each(func(s string) string { return s[:len(s)-6] })},
		{"signatures of another version", each(func(s string) string { return "v2" + s[strings.IndexByte(s, ','):] })},
		{"versions swapped", each(func(s string) string {
			if rest, ok := strings.CutPrefix(s, "v1a,"); ok {
				return "v1," + rest
			}
			return "v1a" + strings.TrimPrefix(s, "v1")
		})},
		{"empty signatures", each(func(s string) string { return s[:strings.IndexByte(s, ',')+1] })},
		{"no signature", set("webhook-signature", func(string) string { return "" })},
		{"signatures in lower case", each(strings.ToLower)},
	}
}

// TestVerifiers sends over real sockets to receivers that use independent implementations, as
// sent and manipulated on the way.
func TestVerifiers(t *testing.T) {
	const roll = newSecret + " " + oldSecret + " " + privateKey
	receivers := map[string]string{
		"Go library, old secret": goLibrary(t, oldSecret),
		"Go library, new secret": goLibrary(t, newSecret),
		"ours, old secret":       ours(t, oldSecret),
		"ours, public key":       ours(t, publicKey),
		"ours, both kinds":       ours(t, newSecret+" "+publicKey),
	}
	t.Run("Go", func(t *testing.T) { acceptAndRefuse(t, roll, receivers) })
	t.Run("node", func(t *testing.T) {
		node := nodeReceiver(t)
		acceptAndRefuse(t, roll, map[string]string{"npm library, old secret": node + "/v1/0", "npm library, new secret": node + "/v1/1", "node's ed25519": node + "/v1a"})
	})
}

func acceptAndRefuse(t *testing.T, keys string, receivers map[string]string) {
	t.Helper()
	if n := len(manipulations()); n < 12 {
		t.Fatalf("only %d manipulations", n)
	}
	sent, body := capture(t, keys)
	for name, url := range receivers {
		if answer := target(t, url, keys).Send(t.Context(), aDelivery()); answer.Verdict != delivery.Done {
			t.Errorf("%s: %+v", name, answer)
		}
		if status, text := post(t, url, sent.Clone(), body); status != http.StatusNoContent {
			t.Errorf("%s, captured and sent again: %d %s", name, status, text)
		}
		for _, m := range manipulations() {
			h := sent.Clone()
			edited := m.edit(t, h, bytes.Clone(body))
			if status, _ := post(t, url, h, edited); status != http.StatusBadRequest {
				t.Errorf("%s, %s: %d", name, m.name, status)
			}
		}
	}
}

// capture returns what a receiver gets.
func capture(t *testing.T, keys string) (header http.Header, body []byte) {
	t.Helper()
	url := serve(t, func(h http.Header, b []byte) error { header, body = h.Clone(), b; return nil })
	if answer := target(t, url, keys).Send(t.Context(), aDelivery()); answer.Verdict != delivery.Done {
		t.Fatalf("%+v", answer)
	}
	return header, body
}

func post(t *testing.T, url string, h http.Header, body []byte) (status int, text string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header = h
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	raw, _ := io.ReadAll(response.Body)
	return response.StatusCode, string(raw)
}
