package localtest

import (
	"context"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"tollgate/pkg/awsclient"
)

// Moto runs moto's server, an independent implementation of AWS, and returns its URL. It
// skips the test unless TOLLGATE_ORACLES is "required" or names moto.
func Moto(t testing.TB) (url string) {
	t.Helper()
	if oracles := os.Getenv("TOLLGATE_ORACLES"); oracles != "required" && !strings.Contains(oracles, "moto") {
		t.Skip("moto is not run: TOLLGATE_ORACLES does not name it")
	}
	command, err := exec.LookPath("moto_server")
	if err != nil {
		t.Fatal("TOLLGATE_ORACLES wants moto, but the command moto_server is not installed")
	}
	probe := httptest.NewServer(nil)
	url = probe.URL
	probe.Close()
	ctx, cancel := context.WithCancel(context.Background())
	process := exec.CommandContext(ctx, command, "-H", "127.0.0.1", "-p", url[strings.LastIndexByte(url, ':')+1:])
	if err := process.Start(); err != nil {
		cancel()
		t.Fatalf("start moto: %v", err)
	}
	t.Cleanup(func() {
		cancel()
		process.Wait() // its error is that it was killed
	})
	patience, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	client := dynamodb.NewFromConfig(Config(url, awsclient.Options{Attempts: 1}))
	for patience.Err() == nil {
		if _, err := client.ListTables(patience, &dynamodb.ListTablesInput{}); err == nil {
			return url
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatalf("%s does not answer", url)
	return ""
}
