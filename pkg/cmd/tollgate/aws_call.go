package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

const maxAWSAnswer = 8 << 20

// awsCall makes one request with the SDK's signer alone and returns the answer, an error
// for every status but 200. It is for services of which a call or two is needed: their
// clients would be most of what the command is built from.
func awsCall(ctx context.Context, c aws.Config, service, method, path, form string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, awsAddress(c, service)+path, strings.NewReader(form))
	if err != nil {
		return nil, err
	}
	if form != "" {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	}
	credentials, err := c.Credentials.Retrieve(ctx)
	if err != nil {
		return nil, fmt.Errorf("find credentials: %w", err)
	}
	digest := sha256.Sum256([]byte(form))
	if err := v4.NewSigner().SignHTTP(ctx, credentials, req, hex.EncodeToString(digest[:]), service, c.Region, time.Now()); err != nil {
		return nil, err
	}
	var client aws.HTTPClient = http.DefaultClient
	if c.HTTPClient != nil {
		client = c.HTTPClient
	}
	res, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, maxAWSAnswer))
	if err != nil {
		return nil, fmt.Errorf("read answer (%s): %w", res.Status, err)
	}
	if res.StatusCode != http.StatusOK {
		return nil, awsFault(res.Status, answer)
	}
	return answer, nil
}

// awsFault is what a service says was wrong, as far as it can be read.
func awsFault(status string, answer []byte) error {
	var says struct {
		Code    string `xml:"Error>Code"`
		Message string `xml:"Error>Message"`
	}
	if err := xml.Unmarshal(answer, &says); err == nil && says.Code != "" {
		return fmt.Errorf("%s: %s", says.Code, says.Message)
	}
	return fmt.Errorf("%s: %s", status, clip(string(answer), 200))
}

// awsQuery makes one call of the Query protocol.
func awsQuery(ctx context.Context, c aws.Config, service string, form url.Values, into any) error {
	raw, err := awsCall(ctx, c, service, http.MethodPost, "/", form.Encode())
	if err != nil {
		return err
	}
	if err := xml.Unmarshal(raw, into); err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	return nil
}

// awsAddress is a service's: the one that AWS_ENDPOINT_URL names for every service, else
// AWS's own.
func awsAddress(c aws.Config, service string) string {
	if c.BaseEndpoint != nil {
		return strings.TrimSuffix(*c.BaseEndpoint, "/")
	}
	domain := "amazonaws.com"
	if strings.HasPrefix(c.Region, "cn-") {
		domain += ".cn"
	}
	return "https://" + service + "." + c.Region + "." + domain
}
