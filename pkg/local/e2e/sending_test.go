//go:build unix

package e2e_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
)

// listener is a running tollgate listen.
type listener struct {
	t       *testing.T
	address string
	cmd     *exec.Cmd
	out     *logBuffer
}

// listen starts a receiver, by default on a free port.
func listen(t *testing.T, data string, args ...string) *listener {
	t.Helper()
	l := &listener{t: t, out: &logBuffer{}}
	l.cmd = exec.Command(filepath.Join(binaries, "tollgate"), append([]string{"listen", "--json", "--data", data, "--listen", "127.0.0.1:0"}, args...)...)
	l.cmd.Env, l.cmd.Stdout = []string{"HOME=" + data}, l.out
	errOut, err := l.cmd.StderrPipe()
	must(t, err)
	must(t, l.cmd.Start())
	t.Cleanup(l.stop)
	lines := bufio.NewReader(errOut)
	line, err := lines.ReadString('\n')
	must(t, err)
	go io.Copy(io.Discard, lines)
	var known bool
	if l.address, known = strings.CutPrefix(strings.TrimSpace(line), "receives at http://"); !known {
		t.Fatalf("tollgate listen printed %q", line)
	}
	return l
}

func (l *listener) stop() {
	l.cmd.Process.Signal(os.Interrupt)
	l.cmd.Wait()
}

// again stops the receiver and starts another one at its address.
func (l *listener) again(data string, args ...string) *listener {
	l.t.Helper()
	l.stop()
	return listen(l.t, data, append(args, "--listen", l.address)...)
}

// delivery is a line of listen.
type delivery struct {
	ID        string `json:"webhook_id"`
	Type      string `json:"type"`
	Event     string `json:"event"`
	Object    string `json:"object"`
	Attempt   int    `json:"attempt"`
	Sequence  int64  `json:"sequence"`
	Duplicate bool   `json:"duplicate"`
	Verified  bool   `json:"verified"`
	Status    int    `json:"status"`
}

// deliveries are the received ones, by their ids in the order of their arrival.
func (l *listener) deliveries() (all map[string][]delivery) {
	l.t.Helper()
	all = map[string][]delivery{}
	for line := range strings.Lines(l.out.String()) {
		if !strings.HasSuffix(line, "\n") {
			continue
		}
		var d delivery
		must(l.t, json.Unmarshal([]byte(line), &d))
		if !d.Verified {
			l.t.Fatalf("listen did not verify %s", line)
		}
		all[d.ID] = append(all[d.ID], d)
	}
	return all
}

// receives waits for deliveries of n messages, the last of each answered with a status.
func (l *listener) receives(n, status int) map[string][]delivery {
	l.t.Helper()
	var all map[string][]delivery
	eventually(l.t, func() (bool, string) {
		all = l.deliveries()
		good := len(all) == n
		for _, d := range all {
			good = good && d[len(d)-1].Status == status
		}
		return good, fmt.Sprintf("received %+v, want %d messages answered %d", all, n, status)
	})
	return all
}

// state is the output of destination show.
type state struct {
	Status string         `json:"status"`
	Why    string         `json:"why"`
	Queued int            `json:"queued"`
	Dead   map[string]int `json:"dead_letters"`
}

func (s *system) destination(name string) state {
	s.t.Helper()
	return jsonLines[state](s, "destination", "show", name)[0]
}

// destinationsFile writes destinations: listen with more members, and others.
func destinationsFile(t *testing.T, l *listener, more, others string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "destinations.json")
	must(t, os.WriteFile(file, fmt.Appendf(nil, `{"listen":{"type":"http","url":"http://%s","secret":"tollgate/test/listen","messages":["*"],"events":["*"],
		"insecure_http":true,"allow":["127.0.0.0/8"]%s}%s}`, l.address, more, others), 0o600))
	return file
}

// TestSendsMessagesAndEvents: an event's message and the event itself are received once, verified,
// and the message is mailed. The address is kept nowhere but in the mail.
func TestSendsMessagesAndEvents(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	l := listen(t, data)
	s := start(t, data, "--destinations", destinationsFile(t, l, "",
		`,"post":{"type":"email","from":"Billing <billing@example.com>","messages":["receipt"],"livemode":[true,false]}`))
	const address = "someone@example.org"
	customer := fmt.Appendf(nil, `[{"id":"cus_1","object":"customer","email":%q}]`, address)
	if status, answer := s.atStripe(http.MethodPut, "/_fake/objects", customer); status != http.StatusOK {
		t.Fatalf("set customer: %d %s", status, answer)
	}
	s.enqueue(paidAgo("one", 0))
	s.becomesDone("one")
	got := map[string]delivery{}
	for _, d := range l.receives(2, http.StatusNoContent) {
		got[d[0].Type] = d[0]
		if len(d) != 1 {
			t.Errorf("%s was received %d times", d[0].Type, len(d))
		}
	}
	if e := got["stripe.invoice.paid"]; e.Event != "evt_one" || e.Object != "in_one" || e.Sequence < 1 || got["receipt"].ID == "" {
		t.Errorf("received %+v, want the receipt and the event", got)
	}
	var mails []string
	eventually(t, func() (bool, string) {
		mails, _ = filepath.Glob(filepath.Join(data, "mail", "*.eml"))
		return len(mails) == 1 && s.destination("post").Queued == 0, fmt.Sprintf("mails %v", mails)
	})
	mail, err := os.ReadFile(mails[0])
	must(t, err)
	if text := string(mail); !strings.Contains(text, address) || !strings.Contains(mails[0], got["receipt"].ID) {
		t.Errorf("mail %s: %s", mails[0], text)
	}
	for key, it := range s.items("") {
		if strings.Contains(fmt.Sprint(it), address) {
			t.Errorf("the item %s has the customer's address", key)
		}
	}
	if strings.Contains(s.log.String(), address) {
		t.Error("the log has the customer's address")
	}
	// The receiver sees no more of it when all is at rest.
	if n := len(l.receives(2, http.StatusNoContent)); n != 2 || s.destination("listen").Queued != 0 {
		t.Errorf("%d messages, %+v", n, s.destination("listen"))
	}
	s.interrupt()
}

// TestFailedDeliveriesAreRepeated under their ids. A test message needs no event.
func TestFailedDeliveriesAreRepeated(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	l := listen(t, data, "--fail", "2-times")
	s := start(t, data, "--time-scale", "10", "--send-to", "http://"+l.address)
	s.enqueue(paidAgo("one", 0))
	for id, d := range l.receives(2, http.StatusNoContent) {
		if len(d) != 3 || d[0].Status != 500 || d[1].Status != 500 || d[2].Duplicate || d[0].Sequence != d[2].Sequence {
			t.Errorf("%s: %+v, want two refused and one accepted delivery", id, d)
		}
	}
	l = l.again(data)
	if out, errOut, code := s.tollgate("destination", "test", "listen"); code != 0 || !strings.Contains(out, "status 204") {
		t.Errorf("destination test: exit %d, %s%s", code, out, errOut)
	}
	for id, d := range l.receives(1, http.StatusNoContent) {
		if d[0].Type != "test" {
			t.Errorf("%s: %+v", id, d)
		}
	}
	s.interrupt()
}

// TestDisabledAndRedriven: a receiver that is gone is disabled, and gets everything when it is back.
func TestDisabledAndRedriven(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	l := listen(t, data, "--fail", "410")
	s := start(t, data, "--time-scale", "10", "--send-to", "http://"+l.address)
	s.enqueue(paidAgo("one", 0))
	eventually(t, func() (bool, string) {
		d := s.destination("listen")
		n := 0
		for _, dead := range d.Dead {
			n += dead
		}
		return d.Status == "disabled" && d.Why != "" && n == 2, fmt.Sprintf("%+v", d)
	})
	refused := l.deliveries()
	if _, errOut, code := s.tollgate("destination", "redrive", "listen"); code != 2 || !strings.Contains(errOut, "destination enable") {
		t.Errorf("a redrive of a disabled destination: exit %d, %s", code, errOut)
	}
	l = l.again(data)
	type result struct {
		Changed         bool
		Selected, Moved int
	}
	if r := jsonLines[result](s, "destination", "enable", "listen", "--note", "it is back"); !r[0].Changed {
		t.Errorf("enable: %+v", r)
	}
	if r := jsonLines[result](s, "destination", "redrive", "listen", "--dry-run"); r[0].Selected != 2 || r[0].Moved != 0 {
		t.Errorf("dry run: %+v", r)
	}
	if r := jsonLines[result](s, "destination", "redrive", "listen", "--note", "it is back"); r[0].Moved != 2 {
		t.Errorf("redrive: %+v", r)
	}
	got := l.receives(2, http.StatusNoContent)
	for id := range refused {
		if got[id] == nil {
			t.Errorf("%s, which was refused, is not received under its id: %+v", id, got)
		}
	}
	eventually(t, func() (bool, string) {
		d := s.destination("listen")
		return d.Status == "ok" && len(d.Dead) == 0 && d.Queued == 0, fmt.Sprintf("%+v", d)
	})
	if audit := jsonLines[struct{ Verb, Outcome string }](s, "audit", "list"); len(audit) != 2 {
		t.Errorf("audit %+v, want the enable and the redrive", audit)
	}
	s.interrupt()
}

// TestSenderKilledWhileSending: what it was sending is sent again under the same id.
func TestSenderKilledWhileSending(t *testing.T) {
	needsProc(t)
	t.Parallel()
	data := t.TempDir()
	l := listen(t, data, "--fail", "timeout")
	const scale = 10
	s := start(t, data, "--time-scale", fmt.Sprint(scale), "--destinations", destinationsFile(t, l, `,"timeout":"20s"`, ""))
	// A batch that nothing answers is visible again after the queue's timeout, here after 5 s.
	queue := strings.TrimSuffix(s.info.SendDLQURL, "dead") + "listen"
	must(t, errOf(s.queues().SetQueueAttributes(t.Context(), &sqs.SetQueueAttributesInput{
		QueueUrl: &queue, Attributes: map[string]string{"VisibilityTimeout": fmt.Sprint(5 * scale)},
	})))
	s.enqueue(paidAgo("one", 0))
	cut := l.receives(2, 0)
	senders := s.children("sender")
	if len(senders) == 0 {
		t.Fatal("no sender process")
	}
	for _, pid := range senders {
		must(t, syscall.Kill(pid, syscall.SIGKILL))
	}
	gone(t, senders)
	l = l.again(data)
	got := l.receives(2, http.StatusNoContent) // after the leases
	for id, d := range cut {
		if len(got[id]) != 1 || got[id][0].Type != d[0].Type || got[id][0].Sequence != d[0].Sequence {
			t.Errorf("%s: cut off %+v, then received %+v", id, d, got[id])
		}
	}
	s.interrupt()
}
