package lambdahost

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strings"
)

// reportInitError is a function that stops trying before its first invocation.
func reportInitError() {
	url := "http://" + os.Getenv("AWS_LAMBDA_RUNTIME_API") + "/2018-06-01/runtime/init/error"
	body := strings.NewReader(`{"errorType":"Config.Missing","errorMessage":"no table\nis set"}`)
	resp, err := http.Post(url, "application/json", body)
	if err == nil {
		resp.Body.Close()
	}
	os.Exit(1)
}

// runAsHost starts a function that hangs in an invocation, and waits to be killed.
func runAsHost() {
	path, err := os.Executable()
	if err != nil {
		panic(err)
	}
	f, err := New(Options{Name: "orphan", Path: path, Timeout: maxTimeout, Stdout: os.Stdout})
	if err != nil {
		panic(err)
	}
	_, err = f.Invoke(context.Background(), []byte(`{"Do":"hang"}`))
	fmt.Println("the function must not end before its host:", err)
}
