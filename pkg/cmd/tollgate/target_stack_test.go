package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"tollgate/pkg/cmd/tollgate/console"
	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/limits"
)

// TestTargetOfStack answers DescribeStacks on a socket, as CloudFormation's Query protocol does.
func TestTargetOfStack(t *testing.T) {
	s := newSystem(t)
	s.failed("evt_1", "invoice.paid", "", "no row", 15)
	outputs := map[string]string{
		limits.OutputWebhookURL: "https://example.test/webhooks/stripe", limits.OutputQueueURL: s.info.QueueURL,
		limits.OutputDLQURL: s.info.DLQURL, limits.OutputTable: s.info.Table,
	}
	embedded, err := url.Parse(s.info.Endpoint)
	check(t, err)
	others := httputil.NewSingleHostReverseProxy(embedded)
	var asked atomic.Int64
	cloud := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Amz-Target") != "" {
			others.ServeHTTP(w, r)
			return
		}
		if !strings.Contains(r.Header.Get("Authorization"), "/cloudformation/aws4_request") || r.FormValue("Action") != "DescribeStacks" {
			t.Errorf("request %v signed as %q", r.Form, r.Header.Get("Authorization"))
		}
		asked.Add(1)
		w.Header().Set("Content-Type", "text/xml")
		if r.FormValue("StackName") != "tollgate-test" {
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(w, `<ErrorResponse><Error><Type>Sender</Type><Code>ValidationError</Code><Message>Stack with that id does not exist</Message></Error></ErrorResponse>`)
			return
		}
		var members strings.Builder
		for name, value := range outputs {
			fmt.Fprintf(&members, "<member><OutputKey>%s</OutputKey><OutputValue>%s</OutputValue></member>", name, value)
		}
		fmt.Fprintf(w, `<DescribeStacksResponse><DescribeStacksResult><Stacks><member><StackName>tollgate-test</StackName><CreationTime>2026-01-01T00:00:00Z</CreationTime><StackStatus>CREATE_COMPLETE</StackStatus><Outputs>%s</Outputs></member></Stacks></DescribeStacksResult></DescribeStacksResponse>`, &members)
	}))
	t.Cleanup(cloud.Close)
	setAWS(t, cloud.URL)

	got := tollgate(t.Context(), nil, "events", "show", "evt_1", "--json", "--stack", "tollgate-test").ok(t)
	if !strings.Contains(got.out, `"id":"evt_1"`) {
		t.Errorf("show prints %q", got.out)
	}
	asked.Store(0)
	p := openConsole(t, &verb.App{Stack: "tollgate-test"}, console.Console{})
	for range 3 {
		if got := shown(p.get("/audit")); !strings.Contains(got, "No entry") {
			t.Errorf("a page of the stack shows %s", got)
		}
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("the console read the stack %d times", n)
	}
	tollgate(t.Context(), nil, "events", "show", "evt_1", "--stack", "another").refused(t, verb.ExitFailed, "read stack another", "Stack with that id does not exist")
	delete(outputs, limits.OutputTable)
	tollgate(t.Context(), nil, "events", "show", "evt_1", "--stack", "tollgate-test").refused(t, verb.ExitFailed, "has no output TableName")
}
