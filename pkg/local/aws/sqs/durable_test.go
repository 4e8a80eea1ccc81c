package sqs_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/google/go-cmp/cmp"

	"tollgate/pkg/local/aws/awsjson"
	"tollgate/pkg/local/aws/boltfile/boltfiletest"
	"tollgate/pkg/local/aws/sqs"
)

// crash continues with the file as it is now, without closing anything first.
func (w *fixture) crash() {
	w.t.Helper()
	content, err := os.ReadFile(w.path)
	check(w.t, err)
	w.path = filepath.Join(w.t.TempDir(), "after-crash.db")
	check(w.t, os.WriteFile(w.path, content, 0o600))
	w.start()
}

func TestStateSurvivesCrashes(t *testing.T) {
	w := newFixture(t)
	main, dead := w.pair("2")
	w.send(main, "deleted", "in flight", "extended", "visible", "poison")
	w.crash()
	if len(w.receive(main)) != 5 {
		t.Fatal("sent and gone")
	}
	w.pass(31 * time.Second)
	w.crash()
	out, err := w.ReceiveMessage(context.Background(), &sdk.ReceiveMessageInput{QueueUrl: &main, MaxNumberOfMessages: 3})
	if err != nil || len(out.Messages) != 3 {
		t.Fatalf("%v %v", out, err)
	}
	w.crash()
	w.delete(main, out.Messages[0]) // by a receipt from before the crash
	check(t, w.change(main, out.Messages[2], 600))
	w.crash()
	if diff := cmp.Diff([3]string{"2", "2", "0"}, w.counts(main)); diff != "" {
		t.Error("visible, in flight, delayed: ", diff)
	}
	w.pass(31 * time.Second)
	w.crash()
	// "in flight" was received twice before, so this receive moves it; "visible" and "poison" had one receive.
	counts := map[string]string{}
	for _, m := range w.receive(main) {
		counts[*m.Body] = m.Attributes["ApproximateReceiveCount"]
	}
	if diff := cmp.Diff(map[string]string{"visible": "2", "poison": "2"}, counts); diff != "" {
		t.Error(diff)
	}
	w.crash()
	if diff := cmp.Diff([]string{"in flight"}, w.bodies(dead)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([3]string{"0", "3", "0"}, w.counts(main)); diff != "" {
		t.Error(diff)
	}
	payloads, states := w.service.StoredOnDisk()
	if payloads != 4 || states != 4 {
		t.Errorf("on disk: %d payloads, %d states", payloads, states)
	}
}

// A number that a deleted message had is never given again, or an old receipt would delete a new message.
func TestOldReceiptAfterRestart(t *testing.T) {
	w := newFixture(t)
	url := w.queue("q", nil)
	w.send(url, "old")
	old := w.receive(url)[0]
	w.delete(url, old)
	w.restart()
	w.send(url, "new")
	w.receive(url)
	w.delete(url, old)
	if diff := cmp.Diff([3]string{"0", "1", "0"}, w.counts(url)); diff != "" {
		t.Error(diff)
	}
}

const childEnv = "SQS_TEST_CHILD_FILE"

// TestMain lets the test binary be the process that TestKilledProcess kills.
func TestMain(m *testing.M) {
	if path := os.Getenv(childEnv); path != "" {
		busyChild(path)
		return
	}
	os.Exit(m.Run())
}

// busyChild sends, receives and deletes as fast as it can, and prints each answer after it came.
func busyChild(path string) {
	s, err := sqs.Open(path, sqs.Options{})
	if err != nil {
		panic(err)
	}
	run := func(name, body string) string {
		answer, err := s.Service().Operations[name](context.Background(), []byte(body))
		if err != nil {
			panic(err)
		}
		return fmt.Sprintf("%+v", answer)
	}
	run("CreateQueue", `{"QueueName":"q"}`)
	var print sync.Mutex
	for worker := range 8 {
		go func() {
			for i := 0; ; i++ {
				body := fmt.Sprintf("w%d-%d", worker, i)
				run("SendMessage", `{"QueueUrl":"http://x/000000000000/q","MessageBody":"`+body+`"}`)
				print.Lock()
				fmt.Println("sent", body)
				print.Unlock()
			}
		}()
	}
	select {}
}

func TestKilledProcess(t *testing.T) {
	w := &fixture{t: t, path: filepath.Join(t.TempDir(), "sqs.db")}
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), childEnv+"="+w.path)
	out, err := child.StdoutPipe()
	check(t, err)
	check(t, child.Start())
	acknowledged := map[string]bool{}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		body, ok := strings.CutPrefix(lines.Text(), "sent ")
		if !ok {
			t.Fatalf("child says %q", lines.Text())
		}
		acknowledged[body] = true
		if len(acknowledged) == 200 {
			child.Process.Kill() // what is in the pipe is read to its end: it was acknowledged, too
		}
	}
	child.Wait()
	if len(acknowledged) < 200 {
		t.Fatalf("the child sent %d", len(acknowledged))
	}
	w.start()
	got := map[string]int{}
	for {
		bodies := w.bodies("http://x/000000000000/q")
		if len(bodies) == 0 {
			break
		}
		for _, body := range bodies {
			got[body]++
		}
	}
	for body := range acknowledged {
		if got[body] != 1 {
			t.Errorf("%s is there %d times", body, got[body])
		}
	}
}

// A write that fails is never acknowledged, and later calls fail too.
func TestBrokenFileStopsTheService(t *testing.T) {
	w := newFixture(t)
	url := w.queue("q", nil)
	w.send(url, "one")
	polling := make(chan error, 1)
	w.queue("empty", nil)
	go func() {
		_, err := w.ReceiveMessage(context.Background(), &sdk.ReceiveMessageInput{
			QueueUrl: aws.String(w.server.URL + "/000000000000/empty"), WaitTimeSeconds: 20})
		polling <- err
	}()
	for deadline := time.Now().Add(10 * time.Second); w.service.Waiting("empty") == 0; {
		if time.Now().After(deadline) {
			t.Fatal("the long poll did not begin")
		}
	}
	w.service.BreakFile()
	_, sendErr := w.SendMessage(context.Background(), &sdk.SendMessageInput{QueueUrl: &url, MessageBody: aws.String("two")})
	_, readErr := w.GetQueueAttributes(context.Background(), &sdk.GetQueueAttributesInput{QueueUrl: &url})
	for name, err := range map[string]error{"send": sendErr, "later read": readErr, "long poll": <-polling} {
		if codeOf(err) != "ServiceUnavailable" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestFullDiskEnds: what was refused has not happened, and once there is room the queues
// work again without a restart.
func TestFullDiskEnds(t *testing.T) {
	w := newFixture(t)
	url := w.queue("q", nil)
	w.send(url, "before")
	room := boltfiletest.FillDisk(t, w.path)
	for range 2 {
		_, err := w.SendMessage(context.Background(), &sdk.SendMessageInput{QueueUrl: &url, MessageBody: aws.String("refused")})
		if codeOf(err) != "ServiceUnavailable" {
			t.Errorf("send to a full disk: %v", err)
		}
	}
	if _, err := w.ReceiveMessage(context.Background(), &sdk.ReceiveMessageInput{QueueUrl: &url}); codeOf(err) != "ServiceUnavailable" {
		t.Errorf("receive from a full disk: %v", err)
	}
	if n := w.counts(url)[0]; n != "1" {
		t.Errorf("%s messages are read from a full disk, want 1", n)
	}
	room()
	w.send(url, "after")
	w.restart()
	url = w.server.URL + "/000000000000/q"
	got := append(w.bodies(url), w.bodies(url)...)
	if slices.Sort(got); !slices.Equal(got, []string{"after", "before"}) {
		t.Errorf("messages %v, want those that were accepted", got)
	}
}

func TestFileIsPrivate(t *testing.T) {
	w := newFixture(t)
	info, err := os.Stat(w.path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

// Every message is deleted once and by the one who received it, with senders, receivers and a close in between.
func TestManySendersAndReceivers(t *testing.T) {
	const senders, receivers, each = 8, 8, 40
	w := newFixture(t)
	w.options.Now = nil
	w.restart()
	url := w.queue("q", map[string]string{"ReceiveMessageWaitTimeSeconds": "20"})
	var wg sync.WaitGroup
	for s := range senders {
		wg.Go(func() {
			for i := range each {
				body := fmt.Sprintf("%d-%d", s, i)
				if _, err := w.SendMessage(context.Background(), &sdk.SendMessageInput{QueueUrl: &url, MessageBody: &body}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	var mu sync.Mutex
	got := map[string]int{}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	for range receivers {
		wg.Go(func() {
			for ctx.Err() == nil {
				out, err := w.ReceiveMessage(ctx, &sdk.ReceiveMessageInput{QueueUrl: &url, MaxNumberOfMessages: 3})
				if err != nil {
					continue // only the end of the context ends a receive here; a failure shows in the sum
				}
				for _, m := range out.Messages {
					_, err := w.DeleteMessage(context.Background(), &sdk.DeleteMessageInput{QueueUrl: &url, ReceiptHandle: m.ReceiptHandle})
					if err != nil {
						t.Error(err)
					}
					mu.Lock()
					got[*m.Body]++
					if len(got) == senders*each {
						stop()
					}
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	for body, n := range got {
		if n != 1 {
			t.Errorf("%s received %d times", body, n)
		}
	}
	if diff := cmp.Diff([3]string{"0", "0", "0"}, w.counts(url)); diff != "" || len(got) != senders*each {
		t.Errorf("%d received; %s", len(got), diff)
	}
	w.restart()
	if payloads, states := w.service.StoredOnDisk(); payloads+states != 0 {
		t.Errorf("left on disk: %d payloads, %d states", payloads, states)
	}
}

func TestCallsDuringCloseGetAnAnswer(t *testing.T) {
	w := newFixture(t)
	w.queue("q", nil)
	send := w.service.Service().Operations["SendMessage"]
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for {
				_, err := send(context.Background(), []byte(`{"QueueUrl":"http://x/000000000000/q","MessageBody":"b"}`))
				if e, ok := errors.AsType[*awsjson.Error](err); ok && e.Status == http.StatusServiceUnavailable {
					return
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	if err := w.service.Close(); err != nil {
		t.Error(err)
	}
	wg.Wait()
}
