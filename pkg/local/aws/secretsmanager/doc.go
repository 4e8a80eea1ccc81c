// Package secretsmanager is an embedded, durable AWS Secrets Manager: its JSON
// protocol over one bbolt file of mode 0600, to be served on loopback.
//
// Secrets have versions with staging labels as AWS documents them: a new value
// takes AWSCURRENT and leaves AWSPREVIOUS to the one before, a request token is
// idempotent, a label moves from the version that the caller names, an ARN ends in
// six random characters. An answer is given once its change is on disk.
//
// Values are not encrypted at rest and are never logged, nor part of an error.
// It refuses what it does not do with an error: rotation, replication, KMS keys,
// resource policies, filters, and deletion with a recovery window (only
// ForceDeleteWithoutRecovery deletes). Request signatures are not checked.
//
// # Operations
//
//	CreateSecret              the local system and tests
//	DeleteSecret              by hand
//	DescribeSecret            by hand
//	GetSecretValue            ingest, consumer, reconcile, the verbs
//	ListSecrets               by hand
//	PutSecretValue            the verbs of secrets
//	UpdateSecretVersionStage  the verbs of secrets: a write that somebody else may have overtaken
//
//	db, err := secretsmanager.Open("secrets.db", secretsmanager.Options{})
//	defer db.Close()
//	http.Serve(listener, awsjson.Handler(db.Service()))
package secretsmanager
