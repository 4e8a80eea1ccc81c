package main

import (
	"encoding/json"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"tollgate/pkg/cmd/tollgate/events"
	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/local"
)

// TestHelpHasAnExample: the help of each verb says how it is called, and not only with which flags.
func TestHelpHasAnExample(t *testing.T) {
	var c cli
	parser, err := kong.New(&c, kong.Vars{"version": ""})
	check(t, err)
	for _, verb := range parser.Model.Leaves(true) {
		words := strings.TrimPrefix(strings.Split(verb.Path(), " <")[0], "tollgate ")
		got := tollgate(t.Context(), nil, append(strings.Fields(words), "--help")...).ok(t)
		text, _, _ := strings.Cut(got.out, "Flags:")
		_, text, _ = strings.Cut(text, "\n") // after the line of usage
		if !strings.Contains(text, "tollgate "+words) || !strings.Contains(got.out, "--json") || got.err != "" {
			t.Errorf("the help of %s has no example of it or lacks a flag: %+v", words, got)
		}
	}
}

func TestWrongUse(t *testing.T) {
	s := newSystem(t)
	tests := []struct {
		args string
		says string
	}{
		{"", "expected one of"},
		{"fly", "fly"},
		{"events", "expected one of"},
		{"events show", "expected"},
		{"events show evt_1 evt_2", "evt_2"},
		{"events show evt_1 --wait=-1s", "--wait"},
		{"events show evt_1 --wait=soon", "--wait"},
		{"events list --status=gone", "--status"},
		{"events list --limit=0", "--limit is 1 to 10000"},
		{"events list --limit=10001", "--limit is 1 to 10000"},
		{"events list --max-read=7", "--max-read is 8 to 1000000"},
		{"events list --max-read=1000001", "--max-read"},
		{"events list --since=yesterday", `--since "yesterday"`},
		{"events list --since=-2h", "--since"},
		{"events list --type=in*voice", "--type"},
		{"dlq list --limit=0", "--limit is 1 to 100000"},
		{"dlq list --bogus", "--bogus"},
		{"dlq show", "expected"},
		{"dlq show evt_1 --limit=100001", "--limit"},
		{"send", "name an event type"},
		{"send invoice.paid --count=0", "--count is 1 to 1000000"},
		{"send invoice.paid --dup=1001", "--dup is 1 to 1000"},
		{"send invoice.paid --parallel=0", "--parallel is 1 to 256"},
		{"send invoice.paid --rate=-1", "--rate"},
		{"send invoice.paid --count=2 --id=evt_1", "--id"},
		{"send no.such.type", "there are: charge.dispute.closed, "},
		{"send " + filepath.Join(t.TempDir(), "absent.json"), "neither a file nor known"},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) { s.tollgate(strings.Fields(tt.args)...).refused(t, verb.ExitUsage, tt.says) })
	}
}

// TestErrorJSON holds every error to one object on stderr and nothing on stdout.
func TestErrorJSON(t *testing.T) {
	s := newSystem(t)
	tests := []struct {
		name string
		args []string
		env  map[string]string
		code int
		hint string
	}{
		{"arguments", []string{"events", "fly"}, nil, verb.ExitUsage, "tollgate events --help"},
		{"environment", []string{"events", "list"}, map[string]string{"TOLLGATE_TABLE": "t"}, verb.ExitUsage, ""},
		{"a flag", []string{"dlq", "list", "--limit", "0"}, nil, verb.ExitUsage, ""},
		{"no system", []string{"dlq", "list", "--data", t.TempDir()}, nil, verb.ExitUsage, "tollgate dev"},
		{"unknown event", []string{"events", "show", "evt_unknown", "--data", s.data}, nil, verb.ExitFailed, "at Stripe"},
		{"unknown dead letter", []string{"dlq", "show", "evt_unknown", "--data", s.data}, nil, verb.ExitFailed, "events show evt_unknown"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := tollgate(t.Context(), tt.env, append(tt.args, "--json")...)
			got.refused(t, tt.code)
			var e map[string]string
			if err := json.Unmarshal([]byte(got.err), &e); err != nil || len(e) != 2 || e["error"] == "" || !strings.Contains(e["hint"], tt.hint) {
				t.Errorf("stderr is %q (%v), want an error with %q as a hint", got.err, err, tt.hint)
			}
			if plain := tollgate(t.Context(), tt.env, tt.args...); plain.code != tt.code || !strings.HasPrefix(plain.err, "tollgate: ") {
				t.Errorf("without --json: exit %d, %q", plain.code, plain.err)
			}
		})
	}
}

// TestGoneSystem: a file left behind by a crash names no live process.
func TestGoneSystem(t *testing.T) {
	s := newSystem(t)
	s.info.Endpoint = "http://127.0.0.1:1"
	s.writeInfo()
	for _, words := range []string{"events list", "events show evt_1", "dlq list", "dlq show evt_1"} {
		s.tollgate(strings.Fields(words)...).refused(t, verb.ExitFailed, "does not answer", "start tollgate dev again")
	}
}

func TestBrokenInfo(t *testing.T) {
	s := newSystem(t)
	check(t, writeFile(filepath.Join(s.data, local.InfoFile), `{"pid":1,`))
	s.tollgate("events", "list").refused(t, verb.ExitFailed, "dev.json is broken")
}

// TestTargetOfEnvironment: a system that the environment names is used, and no other.
func TestTargetOfEnvironment(t *testing.T) {
	s := newSystem(t)
	s.failed("evt_1", "invoice.paid", "", "no row", 15)
	env := s.environment()
	got := tollgate(t.Context(), env, "events", "show", "evt_1", "--json", "--data", t.TempDir()).ok(t)
	if v := lines[events.View](t, got.out); len(v) != 1 || v[0].ID != "evt_1" {
		t.Errorf("shows %q", got.out)
	}
	env["TOLLGATE_TABLE"] = "another"
	tollgate(t.Context(), env, "events", "show", "evt_1", "--data", s.data).refused(t, verb.ExitFailed, "ResourceNotFoundException")
	tollgate(t.Context(), env, "send", "invoice.paid", "--data", s.data).refused(t, verb.ExitUsage, "give --url and --secret")
}

// TestWhatToDoNext: each error that an operator may meet first says what to do, in one line.
func TestWhatToDoNext(t *testing.T) {
	there := map[string]string{"AWS_REGION": local.Region, "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_ENDPOINT_URL": "http://127.0.0.1:1"}
	named := map[string]string{"TOLLGATE_TABLE": "t", "TOLLGATE_QUEUE_URL": "http://127.0.0.1:1/0/q", "TOLLGATE_DLQ_URL": "http://127.0.0.1:1/0/d"}
	const silent = "127.0.0.1:1 does not answer: check the network, AWS_REGION and AWS_ENDPOINT_URL\n"
	tests := []struct {
		args  string
		env   map[string]string
		aws   bool // Region and credentials are there
		code  int
		error string
		next  string
	}{
		{"redrive --bogus", nil, false, verb.ExitUsage, "unknown flag --bogus", "tollgate redrive --help lists its arguments and flags\n"},
		{"events purge evt_1 --reason x", nil, false, verb.ExitUsage, "unknown flag --reason", "--note TEXT gives the reason for a change\n"},
		{"dlq list --reason handler", nil, false, verb.ExitUsage, "unknown flag --reason", "tollgate redrive --reason REASON --dry-run lists the selected ones\n"},
		{"events list --reason x", nil, false, verb.ExitUsage, "unknown flag --reason", "tollgate events list --help lists its arguments and flags\n"},
		{"events show", nil, false, verb.ExitUsage, "expected", "tollgate events show --help lists its arguments and flags\n"},
		{"events fly", nil, false, verb.ExitUsage, "fly", "tollgate events --help lists its arguments and flags\n"},
		{"fly", nil, false, verb.ExitUsage, "fly", "tollgate --help lists the verbs\n"},
		{"dlq list", nil, false, verb.ExitUsage, "no local system runs here", "start one with tollgate dev"},
		{"dlq list --stack tollgate-live", nil, false, verb.ExitUsage, "no AWS Region", "set AWS_REGION, or AWS_PROFILE"},
		{"events list --stack tollgate-live", nil, true, verb.ExitFailed, "connection refused", silent},
		{"events list", named, true, verb.ExitFailed, "connection refused", silent},
		{"dlq list", named, true, verb.ExitFailed, "connection refused", silent},
		{"dev --stack tollgate-live", nil, false, verb.ExitUsage, "leave --stack out", ""},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			for name, value := range there {
				if !tt.aws {
					value = ""
				}
				t.Setenv(name, value)
			}
			t.Setenv("AWS_CONFIG_FILE", "/nonexistent")
			got := tollgate(t.Context(), tt.env, append(strings.Fields(tt.args), "--data", t.TempDir())...)
			got.refused(t, tt.code, tt.error, tt.next)
			if strings.Count(got.err, "\n") > 2 {
				t.Errorf("stderr is\n%s", got.err)
			}
		})
	}
}

// TestNoCredentials: the SDK's own words name a service of EC2 that few readers know.
func TestNoCredentials(t *testing.T) {
	for name, value := range map[string]string{
		"AWS_REGION": local.Region, "AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_PROFILE": "", "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_CONFIG_FILE": "/nonexistent", "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "",
	} {
		t.Setenv(name, value)
	}
	named := map[string]string{"TOLLGATE_TABLE": "t", "TOLLGATE_QUEUE_URL": "http://127.0.0.1:1/0/q", "TOLLGATE_DLQ_URL": "http://127.0.0.1:1/0/d"}
	const says = "no AWS credentials are found: set AWS_PROFILE, or AWS_ACCESS_KEY_ID"
	tollgate(t.Context(), nil, "dlq", "list", "--stack", "tollgate-live").refused(t, verb.ExitFailed, says)
	tollgate(t.Context(), named, "events", "list").refused(t, verb.ExitFailed, says)
}

// TestFaultIsNoSuccess: only kong's own exit is caught.
func TestFaultIsNoSuccess(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("the fault is gone")
		}
	}()
	verb.Run(t.Context(), &cli{}, []string{"events", "list"}, func(string) (string, bool) { panic("no environment") }, verb.Streams{Out: io.Discard, Err: io.Discard})
}
