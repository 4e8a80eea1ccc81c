package main

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/local"
)

func TestEnv(t *testing.T) {
	s := newSystem(t)
	want := "export AWS_ACCESS_KEY_ID='Operator'\nexport AWS_DEFAULT_REGION='" + local.Region + "'\nexport AWS_ENDPOINT_URL='" + s.info.Endpoint +
		"'\nexport AWS_REGION='" + local.Region + "'\nexport AWS_SECRET_ACCESS_KEY='test'\n"
	if got := s.tollgate("env").ok(t); got.out != want {
		t.Errorf("prints\n%swant\n%s", got.out, want)
	}
	var got map[string]string
	check(t, json.Unmarshal([]byte(s.tollgate("env", "--json").ok(t).out), &got))
	if diff := cmp.Diff(s.info.AWSEnv(), got); diff != "" {
		t.Errorf("--json (-want +got):\n%s", diff)
	}
	s.tollgate("env", "--stack", "tollgate-live").refused(t, verb.ExitUsage, "leave --stack out")
	tollgate(t.Context(), nil, "env", "--data", t.TempDir()).refused(t, verb.ExitUsage, "no local system runs here")
}
