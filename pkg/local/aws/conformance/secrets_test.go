package conformance

import (
	"context"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
)

const exists = "ResourceExistsException"

func secretChecks() []check {
	const create = "CreateSecret, AWS Secrets Manager API Reference"
	const get = "GetSecretValue, AWS Secrets Manager API Reference"
	const put = "PutSecretValue, AWS Secrets Manager API Reference"
	const stage = "UpdateSecretVersionStage, AWS Secrets Manager API Reference"
	return []check{
		{"secretsmanager/secret/create-and-get", create, "A secret's value is read by its name.", secretCreate},
		{"secretsmanager/secret/by-arn", get, "A secret is found by its ARN, which ends in the name and six random characters.", secretByARN},
		{"secretsmanager/secret/binary", get, "A binary value comes back as it was put.", secretBinary},
		{"secretsmanager/secret/missing", get, "A secret that does not exist is refused with ResourceNotFoundException.", secretMissing},
		{"secretsmanager/secret/duplicate-refused", create, "A second secret of one name is refused with ResourceExistsException.", secretDuplicate},
		{"secretsmanager/secret/without-value", get, "A secret without value has no current version to read.", secretEmpty},
		{"secretsmanager/secret/describe", "DescribeSecret, AWS Secrets Manager API Reference", "A secret is described with its versions and stages, without its value.", secretDescribe},
		{"secretsmanager/value/stages-move", put, "A new value becomes AWSCURRENT and the one before AWSPREVIOUS.", secretStages},
		{"secretsmanager/value/by-version", get, "A version is read by its id and by its stage, and both must fit.", secretByVersion},
		{"secretsmanager/value/token-repeats", put, "The same value with the same token is one version.", secretToken},
		{"secretsmanager/value/token-mismatch", put, "Another value with a token that was used is refused with ResourceExistsException.", secretTokenMismatch},
		{"secretsmanager/value/missing-secret", put, "A value for a secret that does not exist is refused.", secretPutMissing},
		{"secretsmanager/stage/moves-from-its-version", stage, "AWSCURRENT moves from the version that is named to another, and AWSPREVIOUS follows.", secretStageMoves},
		{"secretsmanager/stage/refused-elsewhere", stage, "A move from a version that does not have the label, or from none though one has it, is refused and changes nothing.", secretStageRefused},
		{"secretsmanager/value/65536-bytes", "Secrets Manager quotas, AWS Secrets Manager User Guide", "A value has at most 65,536 bytes.", secretLimit},
	}
}

// secret makes a secret with a value and returns its name and its first version.
func (p *probe) secret(value string) (name string, out *secretsmanager.CreateSecretOutput) {
	name = unique()
	out, err := p.secrets.CreateSecret(p.ctx, &secretsmanager.CreateSecretInput{Name: &name, SecretString: optional(value)})
	p.ok(err, "create secret")
	p.atEnd(func(ctx context.Context) {
		p.secrets.DeleteSecret(ctx, &secretsmanager.DeleteSecretInput{SecretId: &name, ForceDeleteWithoutRecovery: aws.Bool(true)})
	})
	return name, out
}

func (p *probe) readSecret(in *secretsmanager.GetSecretValueInput) (*secretsmanager.GetSecretValueOutput, error) {
	return p.secrets.GetSecretValue(p.ctx, in)
}

// secretReads wants the value under the id, and under the stage if there is one.
func (p *probe) secretReads(id, stage, want string) *secretsmanager.GetSecretValueOutput {
	out, err := p.readSecret(&secretsmanager.GetSecretValueInput{SecretId: &id, VersionStage: optional(stage)})
	p.ok(err, "get "+stage)
	p.equal(want, aws.ToString(out.SecretString), "value of "+stage)
	return out
}

func (p *probe) putSecret(id, value, token string) (version string, err error) {
	out, err := p.secrets.PutSecretValue(p.ctx, &secretsmanager.PutSecretValueInput{SecretId: &id, SecretString: &value, ClientRequestToken: optional(token)})
	if err != nil {
		return "", err
	}
	return aws.ToString(out.VersionId), nil
}

func secretCreate(p *probe) {
	value := `{"default":["whsec_ü"]}`
	name, created := p.secret(value)
	got := p.secretReads(name, "", value)
	p.equal(name, aws.ToString(got.Name), "name")
	p.equal(aws.ToString(created.ARN), aws.ToString(got.ARN), "ARN")
	p.equal(aws.ToString(created.VersionId), aws.ToString(got.VersionId), "version")
	p.equal([]string{"AWSCURRENT"}, got.VersionStages, "stages")
	if got.CreatedDate == nil {
		p.failf("no creation date")
	}
	p.near(*got.CreatedDate, "creation")
}

func secretByARN(p *probe) {
	name, created := p.secret("v")
	arn := aws.ToString(created.ARN)
	_, suffix, ok := strings.Cut(arn, ":secret:"+name+"-")
	if !ok || len(suffix) != 6 {
		p.failf("ARN %s", arn)
	}
	p.secretReads(arn, "", "v")
}

func secretBinary(p *probe) {
	name, _ := p.secret("v")
	want := []byte{0, 1, 255}
	p.ok(errOf(p.secrets.PutSecretValue(p.ctx, &secretsmanager.PutSecretValueInput{SecretId: &name, SecretBinary: want})), "put")
	out, err := p.readSecret(&secretsmanager.GetSecretValueInput{SecretId: &name})
	p.ok(err, "get")
	p.equal(want, out.SecretBinary, "value")
	p.equal(true, out.SecretString == nil, "no text with it")
}

func secretMissing(p *probe) {
	p.refused(errOf(p.readSecret(&secretsmanager.GetSecretValueInput{SecretId: aws.String(unique())})), notFound, "get")
	p.refused(errOf(p.secrets.DescribeSecret(p.ctx, &secretsmanager.DescribeSecretInput{SecretId: aws.String(unique())})), notFound, "describe")
}

func secretDuplicate(p *probe) {
	name, _ := p.secret("v")
	p.refused(errOf(p.secrets.CreateSecret(p.ctx, &secretsmanager.CreateSecretInput{Name: &name, SecretString: aws.String("w")})), exists, "create again")
	p.secretReads(name, "", "v")
}

func secretEmpty(p *probe) {
	name, _ := p.secret("")
	p.refused(errOf(p.readSecret(&secretsmanager.GetSecretValueInput{SecretId: &name})), notFound, "get")
	p.ok(errOf(p.putSecret(name, "v", "")), "put")
	p.secretReads(name, "", "v")
}

func secretDescribe(p *probe) {
	name, created := p.secret("one")
	second, err := p.putSecret(name, "two", "")
	p.ok(err, "put")
	out, err := p.secrets.DescribeSecret(p.ctx, &secretsmanager.DescribeSecretInput{SecretId: &name})
	p.ok(err, "describe")
	p.equal(name, aws.ToString(out.Name), "name")
	p.equal(map[string][]string{second: {"AWSCURRENT"}, aws.ToString(created.VersionId): {"AWSPREVIOUS"}}, out.VersionIdsToStages, "versions")
}

func secretStages(p *probe) {
	name, _ := p.secret("one")
	p.refused(errOf(p.readSecret(&secretsmanager.GetSecretValueInput{SecretId: &name, VersionStage: aws.String("AWSPREVIOUS")})), notFound, "get AWSPREVIOUS of a new secret")
	for _, step := range []struct{ current, previous string }{{"two", "one"}, {"three", "two"}} {
		p.ok(errOf(p.putSecret(name, step.current, "")), "put")
		p.secretReads(name, "", step.current)
		p.secretReads(name, "AWSCURRENT", step.current)
		p.secretReads(name, "AWSPREVIOUS", step.previous)
	}
}

func secretByVersion(p *probe) {
	name, created := p.secret("one")
	p.ok(errOf(p.putSecret(name, "two", "")), "put")
	in := &secretsmanager.GetSecretValueInput{SecretId: &name, VersionId: created.VersionId}
	out, err := p.readSecret(in)
	p.ok(err, "get by version")
	p.equal("one", aws.ToString(out.SecretString), "value")
	in.VersionStage = aws.String("AWSPREVIOUS")
	p.ok(errOf(p.readSecret(in)), "get by version and its stage")
	in.VersionStage = aws.String("AWSCURRENT")
	p.refused(errOf(p.readSecret(in)), notFound+"|InvalidRequestException", "get by version and another version's stage")
}

const secretTokenSample = "8f3b8b1e-5d0c-4f0e-9a50-0123456789ab"

func secretToken(p *probe) {
	name, _ := p.secret("one")
	for range 2 {
		version, err := p.putSecret(name, "two", secretTokenSample)
		p.ok(err, "put")
		p.equal(secretTokenSample, version, "version id")
	}
	p.secretReads(name, "AWSCURRENT", "two")
	p.secretReads(name, "AWSPREVIOUS", "one")
}

func secretTokenMismatch(p *probe) {
	name, _ := p.secret("one")
	p.ok(errOf(p.putSecret(name, "two", secretTokenSample)), "put")
	p.refused(errOf(p.putSecret(name, "three", secretTokenSample)), exists, "put another value")
	p.secretReads(name, "", "two")
}

func secretPutMissing(p *probe) {
	p.refused(errOf(p.putSecret(unique(), "v", "")), notFound, "put")
}

func secretLimit(p *probe) {
	name, _ := p.secret(strings.Repeat("x", 65536))
	p.refused(errOf(p.putSecret(name, strings.Repeat("x", 65537), "")), "ValidationException|InvalidParameterException", "put 65,537 bytes")
}

// pendingSecret puts a value that is not the current one.
func (p *probe) pendingSecret(id, value string) (version string) {
	out, err := p.secrets.PutSecretValue(p.ctx, &secretsmanager.PutSecretValueInput{SecretId: &id, SecretString: &value, VersionStages: []string{"PENDING"}})
	p.ok(err, "put pending")
	return aws.ToString(out.VersionId)
}

func (p *probe) moveCurrent(id, from, to string) error {
	_, err := p.secrets.UpdateSecretVersionStage(p.ctx, &secretsmanager.UpdateSecretVersionStageInput{
		SecretId: &id, VersionStage: aws.String("AWSCURRENT"), MoveToVersionId: &to, RemoveFromVersionId: optional(from),
	})
	return err
}

func secretStageMoves(p *probe) {
	name, first := p.secret("one")
	second := p.pendingSecret(name, "two")
	third := p.pendingSecret(name, "three") // the label leaves the second, which has none now
	p.secretReads(name, "AWSCURRENT", "one")
	p.ok(p.moveCurrent(name, aws.ToString(first.VersionId), second), "move to a version without a label")
	p.secretReads(name, "AWSCURRENT", "two")
	p.secretReads(name, "AWSPREVIOUS", "one")
	p.ok(p.moveCurrent(name, second, third), "move")
	p.secretReads(name, "AWSCURRENT", "three")
	p.secretReads(name, "AWSPREVIOUS", "two")
}

func secretStageRefused(p *probe) {
	const mismatch = "InvalidParameterException|InvalidRequestException"
	name, first := p.secret("one")
	second := p.pendingSecret(name, "two")
	third := p.pendingSecret(name, "three")
	p.ok(p.moveCurrent(name, aws.ToString(first.VersionId), second), "move")
	p.refused(p.moveCurrent(name, aws.ToString(first.VersionId), third), mismatch, "move from the version that lost it")
	p.refused(p.moveCurrent(name, "", third), mismatch, "move from no version")
	p.secretReads(name, "AWSCURRENT", "two")
	p.secretReads(name, "AWSPREVIOUS", "one")
}
