// Package secretsmanager is an embedded, durable AWS Secrets Manager: its JSON
// protocol over one bbolt file of mode 0600, to be served on loopback.
//
// Secrets have versions with staging labels as AWS documents them: a new value gets
// AWSCURRENT and the previous one AWSPREVIOUS, a request token is idempotent, a label
// moves from the version that the caller names, an ARN ends in six random characters.
// It answers only after a change is on disk.
//
// Values are not encrypted at rest, and are never logged or part of an error. It rejects
// what it does not support with an error: rotation, replication, KMS keys, resource
// policies, filters, and deletion with a recovery window (only
// ForceDeleteWithoutRecovery deletes). It does not check request signatures.
//
// # Operations
//
//	CreateSecret              the local system and tests
//	DeleteSecret              by hand
//	DescribeSecret            by hand
//	GetSecretValue            ingest, consumer, reconcile, the verbs
//	ListSecrets               by hand
//	PutSecretValue            the verbs of secrets
//	UpdateSecretVersionStage  the verbs of secrets, to detect concurrent writes
//
//	db, err := secretsmanager.Open("secrets.db", secretsmanager.Options{})
//	defer db.Close()
//	http.Serve(listener, awsjson.Handler(db.Service()))
package secretsmanager
