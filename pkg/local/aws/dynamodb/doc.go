// Package dynamodb is an embedded, durable DynamoDB: one file on disk, served
// over the AWS JSON protocol to the AWS SDKs, the AWS CLI and boto3.
//
// It implements tables with global secondary indexes, items, conditions, updates,
// queries, scans, batched reads, transactional writes and time to live, with
// DynamoDB's limits and messages. It answers a write only once it is on disk.
//
// It rejects what it does not support with a ValidationException: local secondary
// indexes, projections other than ALL, provisioned capacity, parallel scans,
// streams, tags, PartiQL, backups, and the legacy parameters that expressions
// replaced. It does not check signatures: serve it on loopback only.
//
// # Operations
//
//	BatchGetItem               records of many events
//	CreateTable                the local system and tests
//	DeleteItem                 by hand
//	DeleteTable                by hand
//	DescribeContinuousBackups  doctor; always off
//	DescribeTable              doctor
//	DescribeTimeToLive         doctor, the local system
//	GetItem                    one record
//	ListTables                 by hand
//	PutItem                    by hand and in tests
//	Query                      lists, the outbox, coverage
//	Scan                       lists of the whole table
//	TransactWriteItems         an event and its effects
//	UpdateItem                 claims and other changes of one record
//	UpdateTimeToLive           the local system
//
//	db, err := dynamodb.Open("tables.db", dynamodb.Options{})
//	defer db.Close()
//	http.Serve(listener, awsjson.Handler(db.Service()))
package dynamodb
