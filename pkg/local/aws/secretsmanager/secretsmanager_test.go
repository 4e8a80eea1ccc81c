package secretsmanager_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"

	"tollgate/pkg/local/aws/awsjson"
	"tollgate/pkg/local/aws/awsjson/awsjsontest"
	"tollgate/pkg/local/aws/boltfile/boltfiletest"
	"tollgate/pkg/local/aws/secretsmanager"
)

type fixture struct {
	*sdk.Client
	path string
	db   *secretsmanager.DB
	stop func()
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	w := &fixture{path: filepath.Join(t.TempDir(), "secrets.db")}
	w.start(t)
	return w
}

func (w *fixture) start(t *testing.T) {
	t.Helper()
	db, err := secretsmanager.Open(w.path, secretsmanager.Options{
		Now: func() time.Time { return time.Unix(1_700_000_000, 500_000_000) }})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(awsjson.Handler(db.Service()))
	w.db, w.stop = db, sync.OnceFunc(func() { server.Close(); db.Close() })
	t.Cleanup(w.stop)
	w.Client = sdk.New(sdk.Options{Region: "us-east-1", BaseEndpoint: aws.String(server.URL), RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", "")})
}

func (w *fixture) create(t *testing.T, name, value string) string {
	t.Helper()
	out, err := w.CreateSecret(t.Context(), &sdk.CreateSecretInput{Name: &name, SecretString: &value})
	if err != nil {
		t.Fatal(err)
	}
	return *out.ARN
}

func (w *fixture) put(t *testing.T, id, value string, stages ...string) string {
	t.Helper()
	out, err := w.PutSecretValue(t.Context(), &sdk.PutSecretValueInput{SecretId: &id, SecretString: &value, VersionStages: stages})
	if err != nil {
		t.Fatal(err)
	}
	return *out.VersionId
}

// TestFullDiskEnds: what was refused has not happened, and once there is room secrets are
// stored again without a restart.
func TestFullDiskEnds(t *testing.T) {
	w := newFixture(t)
	w.create(t, "a", "before")
	room := boltfiletest.FillDisk(t, w.path)
	if _, err := w.PutSecretValue(t.Context(), &sdk.PutSecretValueInput{SecretId: aws.String("a"), SecretString: aws.String("refused")}); err == nil {
		t.Error("a secret is stored on a full disk")
	}
	if got := w.get("a", "", ""); got != "before" {
		t.Errorf("on a full disk it is %q", got)
	}
	room()
	w.put(t, "a", "after")
	w.stop()
	w.start(t)
	if got := w.get("a", "", ""); got != "after" {
		t.Errorf("after a restart it is %q", got)
	}
}

// get returns the value or the error's code.
func (w *fixture) get(id, version, stage string) string {
	in := &sdk.GetSecretValueInput{SecretId: &id}
	if version != "" {
		in.VersionId = &version
	}
	if stage != "" {
		in.VersionStage = &stage
	}
	out, err := w.GetSecretValue(context.Background(), in)
	if err != nil {
		return codeOf(err)
	}
	return *out.SecretString
}

func codeOf(err error) string {
	if e, ok := errors.AsType[smithy.APIError](err); ok {
		return e.ErrorCode()
	}
	return fmt.Sprint(err)
}

func TestOwnStages(t *testing.T) {
	w := newFixture(t)
	w.create(t, "s", "one")
	w.put(t, "s", "two", "AWSPENDING")
	for stage, want := range map[string]string{"AWSCURRENT": "one", "AWSPENDING": "two", "AWSPREVIOUS": "ResourceNotFoundException"} {
		if got := w.get("s", "", stage); got != want {
			t.Errorf("%s: got %s, want %s", stage, got, want)
		}
	}
	w.put(t, "s", "three", "AWSPENDING", "AWSCURRENT")
	for stage, want := range map[string]string{"AWSCURRENT": "three", "AWSPENDING": "three", "AWSPREVIOUS": "one"} {
		if got := w.get("s", "", stage); got != want {
			t.Errorf("%s: got %s, want %s", stage, got, want)
		}
	}
}

func TestRefusals(t *testing.T) {
	w := newFixture(t)
	w.create(t, "s", "one")
	value, long := "v", strings.Repeat("x", 65_537)
	put := func(in *sdk.PutSecretValueInput) error {
		in.SecretId = aws.String("s")
		_, err := w.PutSecretValue(t.Context(), in)
		return err
	}
	create := func(in *sdk.CreateSecretInput) error {
		_, err := w.CreateSecret(t.Context(), in)
		return err
	}
	_, deleteErr := w.DeleteSecret(t.Context(), &sdk.DeleteSecretInput{SecretId: aws.String("s")})
	_, listErr := w.ListSecrets(t.Context(), &sdk.ListSecretsInput{MaxResults: aws.Int32(101)})
	cases := []struct {
		name string
		err  error
		want string
	}{
		{"both kinds of value", put(&sdk.PutSecretValueInput{SecretString: &value, SecretBinary: []byte("b")}), "InvalidParameterException"},
		{"no value", put(&sdk.PutSecretValueInput{}), "InvalidParameterException"},
		{"empty value", put(&sdk.PutSecretValueInput{SecretString: aws.String("")}), "ValidationException"},
		{"value over 64 KiB", put(&sdk.PutSecretValueInput{SecretString: &long}), "ValidationException"},
		{"short token", put(&sdk.PutSecretValueInput{SecretString: &value, ClientRequestToken: aws.String("t")}), "ValidationException"},
		{"empty label", put(&sdk.PutSecretValueInput{SecretString: &value, VersionStages: []string{""}}), "ValidationException"},
		{"name with a space", create(&sdk.CreateSecretInput{Name: aws.String("a b")}), "ValidationException"},
		{"KMS key", create(&sdk.CreateSecretInput{Name: aws.String("k"), KmsKeyId: aws.String("k")}), "InvalidParameterException"},
		{"replicas", create(&sdk.CreateSecretInput{Name: aws.String("k"), AddReplicaRegions: []types.ReplicaRegionType{{Region: &value}}}), "InvalidParameterException"},
		{"deletion with recovery", deleteErr, "InvalidParameterException"},
		{"page over 100", listErr, "InvalidParameterException"},
	}
	for _, c := range cases {
		if got := codeOf(c.err); got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
	if got := w.get("s", "", ""); got != "one" {
		t.Errorf("a refused request changed the value to %s", got)
	}
}

func TestBinaryListDelete(t *testing.T) {
	w := newFixture(t)
	content := []byte{0, 1, 0xff}
	if _, err := w.CreateSecret(t.Context(), &sdk.CreateSecretInput{Name: aws.String("b"), SecretBinary: content}); err != nil {
		t.Fatal(err)
	}
	out, err := w.GetSecretValue(t.Context(), &sdk.GetSecretValueInput{SecretId: aws.String("b")})
	if err != nil || !bytes.Equal(out.SecretBinary, content) || out.SecretString != nil {
		t.Errorf("binary: %v %v", out, err)
	}
	if _, err := w.CreateSecret(t.Context(), &sdk.CreateSecretInput{Name: aws.String("a"), Description: aws.String("no value yet")}); err != nil {
		t.Fatal(err)
	}
	if got := w.get("a", "", ""); got != "ResourceNotFoundException" {
		t.Errorf("value of a secret without one: %s", got)
	}
	w.put(t, "a", "new")

	var names []string
	var pages int
	for p := sdk.NewListSecretsPaginator(w.Client, &sdk.ListSecretsInput{MaxResults: aws.Int32(1)}); p.HasMorePages(); pages++ {
		page, err := p.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range page.SecretList {
			names = append(names, *s.Name)
			if len(s.SecretVersionsToStages) != 1 {
				t.Errorf("versions of %s: %v", *s.Name, s.SecretVersionsToStages)
			}
		}
	}
	if diff := cmp.Diff([]string{"a", "b"}, names); diff != "" || pages != 2 {
		t.Errorf("%d pages: %s", pages, diff)
	}

	for _, id := range []string{"a", "a", "never"} {
		if _, err := w.DeleteSecret(t.Context(), &sdk.DeleteSecretInput{SecretId: &id, ForceDeleteWithoutRecovery: aws.Bool(true)}); err != nil {
			t.Errorf("delete %s: %v", id, err)
		}
	}
	if got := w.get("a", "", ""); got != "ResourceNotFoundException" {
		t.Errorf("deleted: %s", got)
	}
}

func TestVersionsAreBounded(t *testing.T) {
	w := newFixture(t)
	w.create(t, "s", "first")
	var ids []string
	for i := range 105 {
		ids = append(ids, w.put(t, "s", fmt.Sprint(i)))
	}
	if got := w.get("s", ids[0], ""); got != "ResourceNotFoundException" {
		t.Errorf("oldest version: %s", got)
	}
	for i, want := range map[int]string{104: "104", 103: "103", 5: "5"} {
		if got := w.get("s", ids[i], ""); got != want {
			t.Errorf("version %d: %s", i, got)
		}
	}
}

func TestRestartKeepsAllAndTheFileIsPrivate(t *testing.T) {
	w := newFixture(t)
	arn := w.create(t, "s", "hunter2")
	w.put(t, "s", "hunter3")
	w.stop()
	if err := os.Chmod(w.path, 0o644); err != nil {
		t.Fatal(err)
	}
	w.start(t)
	for stage, want := range map[string]string{"AWSCURRENT": "hunter3", "AWSPREVIOUS": "hunter2"} {
		if got := w.get(arn, "", stage); got != want {
			t.Errorf("%s: %s", stage, got)
		}
	}
	info, err := os.Stat(w.path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v %v", info.Mode(), err)
	}
}

func TestConcurrentPutsKeepEveryVersion(t *testing.T) {
	w := newFixture(t)
	w.create(t, "s", "first")
	var wg sync.WaitGroup
	ids := make([]string, 20)
	for i := range ids {
		wg.Go(func() {
			value := fmt.Sprint(i)
			out, err := w.PutSecretValue(context.Background(), &sdk.PutSecretValueInput{SecretId: aws.String("s"), SecretString: &value})
			if err != nil {
				t.Error(err)
				return
			}
			ids[i] = *out.VersionId
		})
	}
	wg.Wait()
	for i, id := range ids {
		if got := w.get("s", id, ""); got != fmt.Sprint(i) {
			t.Errorf("version %d: %s", i, got)
		}
	}
}

// FuzzOperations sends any body to every operation: no panic, and no error may quote what was sent.
func FuzzOperations(f *testing.F) {
	db, err := secretsmanager.Open(filepath.Join(f.TempDir(), "secrets.db"), secretsmanager.Options{})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { db.Close() })
	for _, seed := range []string{`{}`, `{"SecretId":"a"}`, `{"Name":"a","SecretString":12345678901234}`, `{"Name":"a"} x`, `[`,
		`{"SecretId":"arn:aws:secretsmanager:us-east-1:000000000000:secret:a"}`, `{"SecretId":"a","VersionStages":[]}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		for name, run := range db.Service().Operations {
			if _, err := run(context.Background(), body); err != nil && strings.Contains(err.Error(), "12345678901234") {
				t.Errorf("%s quotes the value: %v", name, err)
			}
		}
	})
}

func TestOperationsAreDocumented(t *testing.T) { awsjsontest.Documented(t, newFixture(t).db.Service()) }
