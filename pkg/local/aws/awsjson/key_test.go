package awsjson_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"tollgate/pkg/local/aws/awsjson"
)

func TestKeyedHandler(t *testing.T) {
	queue := testService()
	queue.Target, queue.QueryCompatible = "Queue_2020", true
	served := awsjson.KeyedHandler("ID1", testService(), queue)
	const unknown, missing = "com.test#UnrecognizedClientException", "com.test#MissingAuthenticationTokenException"
	tests := []struct {
		name, target, authorization string
		status                      int
		code, query                 string
	}{
		{"the key", "Test_2020.Echo", "AWS4-HMAC-SHA256 Credential=ID1/20260102/us-east-1/test/aws4_request, SignedHeaders=host, Signature=00", 200, "", ""},
		{"another key", "Test_2020.Echo", "AWS4-HMAC-SHA256 Credential=test/20260102/us-east-1/test/aws4_request, SignedHeaders=host, Signature=00", 400, unknown, ""},
		{"a key that begins as ours", "Test_2020.Echo", "AWS4-HMAC-SHA256 Credential=ID12/20260102/us-east-1/test/aws4_request", 400, unknown, ""},
		{"the key at another place", "Test_2020.Echo", "Bearer Credential=ID1/", 400, unknown, ""},
		{"an empty key", "Test_2020.Echo", "AWS4-HMAC-SHA256 Credential=/20260102/", 400, unknown, ""},
		{"no signature", "Test_2020.Echo", "", 400, missing, ""},
		{"another key where older clients read", "Queue_2020.Echo", "AWS4-HMAC-SHA256 Credential=test/x", 403, unknown, "InvalidClientTokenId;Sender"},
		{"no signature where older clients read", "Queue_2020.Echo", "", 403, missing, "MissingAuthenticationToken;Sender"},
		{"an unknown operation without the key", "Test_2020.Nope", "", 400, missing, ""},
		{"an unknown service without the key", "Other.Echo", "", 400, "MissingAuthenticationTokenException", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader("{}"))
			r.Header.Set("X-Amz-Target", tt.target)
			r.Header.Set("Authorization", tt.authorization)
			w := httptest.NewRecorder()
			served.ServeHTTP(w, r)
			var got struct {
				Type string `json:"__type"`
			}
			if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
				t.Fatal(err)
			}
			if query := w.Header().Get("X-Amzn-Query-Error"); w.Code != tt.status || got.Type != tt.code || query != tt.query {
				t.Errorf("answer %d %q %q, want %d %q %q", w.Code, got.Type, query, tt.status, tt.code, tt.query)
			}
		})
	}
}
