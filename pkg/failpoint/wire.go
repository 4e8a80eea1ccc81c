//go:build failpoints && unix

package failpoint

import (
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
)

// Wired is the result of [Wire], for the initialiser of a package variable.
type Wired struct{}

// Wire adds points to all calls of a Lambda function without changing its code. It puts a
// proxy inside the process in front of each address in the environment: the AWS services,
// Stripe, the sender's receivers, and the Runtime API, where "next" returns an invocation and
// "response" ends one. Call it before the function reads its environment:
//
//	failpoint.Wire("ingest", os.LookupEnv, os.Setenv)
func Wire(function string, lookup func(string) (string, bool), set func(name, value string) error) Wired {
	for _, name := range []string{"AWS_ENDPOINT_URL", "TOLLGATE_STRIPE_URL", "AWS_LAMBDA_RUNTIME_API"} {
		value, ok := lookup(name)
		if !ok {
			continue
		}
		scheme, host, _ := strings.Cut(value, "://")
		if host == "" { // the Runtime API is a host and a port
			scheme, host = "", value
		}
		host, path, _ := strings.Cut(host, "/") // the Runtime API has a path
		address, err := proxy(function, host)
		if path != "" {
			address += "/" + path
		}
		if scheme != "" {
			address = scheme + "://" + address
		}
		if err == nil {
			err = set(name, address)
		}
		if err != nil {
			fmt.Fprintf(os.Stderr, "failpoints cannot start: %s: %v\n", name, err)
			os.Exit(1)
		}
	}
	if value, ok := lookup(destinations); ok && function == "sender" {
		value, err := receivers(function, value)
		if err == nil {
			err = set(destinations, value)
		}
		if err != nil {
			fmt.Fprintf(os.Stderr, "failpoints cannot start: %s: %v\n", destinations, err)
			os.Exit(1)
		}
	}
	return Wired{}
}

const destinations = "TOLLGATE_DESTINATIONS"

// receivers puts a proxy in front of each address of the destinations. A signature does not cover
// the address.
func receivers(function, value string) (string, error) {
	var all map[string]map[string]any
	if err := json.Unmarshal([]byte(value), &all); err != nil {
		return "", err
	}
	for _, d := range all {
		text, _ := d["url"].(string)
		u, err := url.Parse(text)
		if err != nil || u.Scheme != "http" {
			continue
		}
		if u.Host, err = proxy(function, u.Host); err != nil {
			return "", err
		}
		d["url"] = u.String()
	}
	raw, err := json.Marshal(all)
	return string(raw), err
}

// proxy forwards to a host over HTTP, for as long as the process lives.
func proxy(function, host string) (address string, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	p := &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: "http", Host: host}) },
		Transport: Transport(function, &http.Transport{MaxIdleConnsPerHost: 64}),
		ErrorLog:  log.New(io.Discard, "", 0), // the caller has the error too
	}
	go http.Serve(l, p)
	return l.Addr().String(), nil
}
