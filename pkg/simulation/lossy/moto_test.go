package lossy_test

import (
	"context"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"tollgate/pkg/limits"
)

// TestLossyWireMoto runs against moto's DynamoDB, an independent implementation, where
// TOLLGATE_ORACLES says so: "required", or a list of names with "moto" in it. Its
// transactions are not isolated from other writes, so the wire lets one request at a
// time through to it.
func TestLossyWireMoto(t *testing.T) {
	if oracles := os.Getenv("TOLLGATE_ORACLES"); oracles != "required" && !strings.Contains(oracles, "moto") {
		t.Skip("moto is not run: TOLLGATE_ORACLES does not name it")
	}
	slower := limits.Scaled(10) // as one request waits for the other
	slower.RecordBudget = 1200 * time.Millisecond
	slower.BackoffBase, slower.BackoffCap = short().BackoffBase, short().BackoffCap
	slower.MaxReceives, slower.SuspectReceives = short().MaxReceives, short().SuspectReceives
	slower.BatchSize, slower.BatchConcurrency = 2, 1
	w := newWorld(t, size{30, 4, 6, 25, *seed}, slower, nil, serveMoto(t))
	w.toTable.one = &sync.Mutex{}
	w.send()
	w.report(w.run(w.empty))
	complain(t, w.judge())
}

// serveMoto runs moto's server until the test ends, and returns its address.
func serveMoto(t *testing.T) string {
	t.Helper()
	command, err := exec.LookPath("moto_server")
	if err != nil {
		t.Fatal("TOLLGATE_ORACLES wants moto, but the command moto_server is not installed")
	}
	probe := httptest.NewServer(nil)
	url := probe.URL
	probe.Close()
	ctx, cancel := context.WithCancel(context.Background())
	process := exec.CommandContext(ctx, command, "-H", "127.0.0.1", "-p", url[strings.LastIndexByte(url, ':')+1:])
	if err := process.Start(); err != nil {
		t.Fatalf("start moto: %v", err)
	}
	t.Cleanup(func() {
		cancel()
		process.Wait() // says that it was killed
	})
	patience, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	for patience.Err() == nil {
		if _, err := dynamodb.NewFromConfig(client(url, 0)).ListTables(patience, &dynamodb.ListTablesInput{}); err == nil {
			return url
		}
		pause(patience, 100*time.Millisecond)
	}
	t.Fatalf("%s does not answer", url)
	return ""
}
