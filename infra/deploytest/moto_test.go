// Package deploytest deploys the part of the stack's template that moto, an independent
// implementation of AWS, supports, and runs the functions' adapters on the result. It has
// tests only, which are skipped without moto's server.
package deploytest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
)

// patience bounds every wait.
const patience = 2 * time.Minute

// absent skips the test, or fails it if TOLLGATE_ORACLES requires independent
// implementations.
func absent(t *testing.T, line string) {
	t.Helper()
	if os.Getenv("TOLLGATE_ORACLES") == "required" {
		t.Fatal(line)
	}
	t.Skip(line)
}

// startMoto runs moto's server until the test ends, and returns its URL.
func startMoto(t *testing.T) string {
	t.Helper()
	server, err := exec.LookPath("moto_server")
	if err != nil {
		absent(t, "the command moto_server is not installed")
	}
	if exec.Command("python3", "-c", "import moto").Run() != nil {
		absent(t, "python3 has no moto")
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().(*net.TCPAddr)
	listener.Close()
	cmd := exec.Command(server, "-H", "127.0.0.1", "-p", fmt.Sprint(address.Port))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-exited
	})
	url := "http://" + address.String()
	if err := await(t.Context(), url, exited); err != nil {
		exited <- err // for the cleanup
		t.Fatal(err)
	}
	return url
}

// await waits until the server answers.
func await(ctx context.Context, url string, exited chan error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		if res, err := http.DefaultClient.Do(req); err == nil {
			return res.Body.Close()
		}
		select {
		case err := <-exited:
			return fmt.Errorf("moto's server ended before it answered: %w", err)
		case <-ctx.Done():
			return errors.New("moto's server did not answer")
		case <-tick.C:
		}
	}
}

func configFor(url string) aws.Config {
	return aws.Config{
		Region: "us-east-1", BaseEndpoint: &url, HTTPClient: &http.Client{Timeout: patience},
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	}
}
