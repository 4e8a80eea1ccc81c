package awsjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
)

// The account and region in the names of all embedded services.
const (
	Account = "000000000000"
	Region  = "us-east-1"
)

// ARN names a resource of an embedded service.
func ARN(service, resource string) string {
	return "arn:aws:" + service + ":" + Region + ":" + Account + ":" + resource
}

// Decode reads a request of exactly one JSON value. If the request has a member that in
// does not have, its quoted name is returned and in is not complete.
func Decode(body []byte, in any) (unknown string, err error) {
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(in); err != nil {
		if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
			return name, nil
		}
		return "", err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return "", errors.New("the request is more than one JSON value")
	}
	return "", nil
}
