package apigw

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"tollgate/pkg/members"
)

// Names of the headers that are read.
const (
	headerContentType = "content-type"
	headerSignature   = "stripe-signature"
	headerTrace       = "x-amzn-trace-id"
)

var headersRead = []string{headerContentType, headerSignature, headerTrace}

// gatewayEvent has the members of both payload versions that we read.
type gatewayEvent struct {
	version        string
	rawPath        string // 2.0
	routeKey       string // 2.0
	path           string // 1.0
	resource       string // 1.0
	httpMethod     string // 1.0
	pathParameters map[string]string

	headers           [][2]string         // name and value of those that are read, in the order of the event
	multiValueHeaders map[string][]string // 1.0

	// Of requestContext.
	stage            string
	httpMethod2      string // http.method, 2.0
	httpSourceIP     string // 2.0
	identitySourceIP string // 1.0

	body            []byte
	isBase64Encoded bool
}

// readEvent reads a gateway event, and the large body of most of them once. Its errors name
// members.
func readEvent(payload []byte) (e gatewayEvent, err error) {
	http := []members.Member{{Name: "method"}, {Name: "sourceIp"}}
	identity := []members.Member{{Name: "sourceIp"}}
	context := []members.Member{{Name: "stage"}, {Name: "http", In: http}, {Name: "identity", In: identity}}
	top := []members.Member{
		{Name: "version"}, {Name: "rawPath"}, {Name: "routeKey"}, {Name: "path"}, {Name: "resource"}, {Name: "httpMethod"},
		{Name: "pathParameters"}, {Name: "multiValueHeaders"}, {Name: "headers"},
		{Name: "requestContext", In: context}, {Name: "body"}, {Name: "isBase64Encoded"},
	}
	if err := members.FindLast(payload, top); err != nil {
		return e, err
	}
	texts := append(top[:6:6], context[0], http[0], http[1], identity[0])
	for i, to := range []*string{
		&e.version, &e.rawPath, &e.routeKey, &e.path, &e.resource, &e.httpMethod,
		&e.stage, &e.httpMethod2, &e.httpSourceIP, &e.identitySourceIP,
	} {
		if *to, err = texts[i].Text(); err != nil {
			return e, err
		}
	}
	for i, to := range []any{&e.pathParameters, &e.multiValueHeaders} {
		if m := top[6+i]; m.Raw != nil && json.Unmarshal(m.Raw, to) != nil {
			return e, fmt.Errorf("%s is of another type", m.Name)
		}
	}
	for _, m := range append(context[1:], top[8:10]...) {
		if !m.IsObject() && !m.Absent() {
			return e, fmt.Errorf("%s is not an object", m.Name)
		}
	}
	if err := e.readHeaders(top[8]); err != nil {
		return e, err
	}
	if e.body, err = top[10].Bytes(); err != nil {
		return e, err
	}
	e.isBase64Encoded, err = top[11].Flag()
	return e, err
}

// readHeaders keeps the headers that are read. A name that comes twice has its last value.
func (e *gatewayEvent) readHeaders(headers members.Member) error {
	for key, m := range headers.All() {
		value, err := m.Bytes()
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(headersRead, func(name string) bool { return strings.EqualFold(name, string(key)) }) {
			continue
		}
		e.headers = slices.DeleteFunc(e.headers, func(h [2]string) bool { return h[0] == string(key) })
		e.headers = append(e.headers, [2]string{string(key), string(value)})
	}
	return nil
}
