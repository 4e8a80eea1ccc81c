// Package config reads the environment into typed structs; package run and the command pass
// it os.LookupEnv. It reports all faults at once, each with the variable's name and what to
// do, never with a secret's value. An empty variable counts as not set.
//
//	cfg, err := config.LoadIngest(os.LookupEnv)
//
// Variables of the functions (i ingest, c consumer, r reconcile, s sender; * required):
//
//	TOLLGATE_QUEUE_URL          i* c* r*    URL of the queue of events
//	TOLLGATE_WEBHOOK_SECRET_ID  i*          secret with the signing secrets of every endpoint
//	TOLLGATE_ALLOW_IPS          i           addresses and CIDR ranges that may deliver, by commas; default all
//	TOLLGATE_ENDPOINT_NAMES     i           endpoints whose deliveries are counted by themselves too, by commas; default none
//	TOLLGATE_TABLE              c* r* s*    name of the table of records
//	TOLLGATE_DLQ_URL            c*          URL of the dead-letter queue
//	TOLLGATE_HOLD_QUEUE_URL     c           URL of the hold queue, for messages of paused event types; without it none can be paused
//	TOLLGATE_API_KEY_SECRET_ID  c r s       secret with Stripe's API key; without it nothing is fetched from Stripe
//	TOLLGATE_STRIPE_URL         c r s       Stripe's API; default https://api.stripe.com
//	TOLLGATE_STRIPE_RATE        c r s       requests a second to one resource of one Stripe account, of all processes together: 1 to 1000, default 25; off: no limit, for benchmarks, without effect with a live key
//	TOLLGATE_CONCURRENCY        c s         processes that run at once at most and share that rate; default limits.AWS().MaxConcurrency, of the sender 1
//	TOLLGATE_LIST_RATE          r           requests a second of a pass to Stripe's list, within TOLLGATE_STRIPE_RATE; default 5
//	TOLLGATE_ENDPOINTS          c r         JSON, which events each endpoint accepts: see [policy.Policy]
//	TOLLGATE_MAX_RECEIVES       c           receives before SQS moves a message to the DLQ; default limits.AWS().MaxReceives
//	TOLLGATE_EVENT_METRICS      c           true: count by event type too; default false
//	TOLLGATE_RECONCILE          r           JSON, the accounts to compare and their endpoints: {"-":"default","acct_1":"connect"}; default the first
//	TOLLGATE_HOLD_AFTER         c           duration of 1m to 87600h; messages about states that were older when their event was received are held; default 24h
//	TOLLGATE_HOLD_BEFORE        c r         RFC 3339 time, the end of a table's restore; messages about states before it are held, also those that were not sent; default none
//	TOLLGATE_KEEP_SENT          c r         days that the table keeps a message after it was sent, at least 180; default without end
//	TOLLGATE_KEEP_FACTS         c           days that the table keeps a fact, at least 400; default without end
//	TOLLGATE_BEGIN              c r         RFC 3339 time at which every account's history starts: later events are compared, their messages sent; default the start in the table
//	TOLLGATE_DESTINATIONS       c r s*      JSON, where messages are sent: see [destination.Parse]; default nowhere
//	TOLLGATE_SEND_DLQ_URL       c r s       URL of the dead-letter queue of deliveries, ending in -send-dead; a group's queue has the group instead of dead; with TOLLGATE_DESTINATIONS
//	TOLLGATE_MAIL_DIR           s           folder that the local system writes mails into
//	TOLLGATE_STAGE              i c r s     name of the deployment in logs and metrics; default "dev"
//	TOLLGATE_VERSION            i c r s     release, in every log line; default "dev"
//	TOLLGATE_LOG_LEVEL          i c r s     debug, info, warn or error; default info
//	TOLLGATE_TIME_SCALE         i c r s     1 to 200, divides every time of queue and consumer, for tests; default 1
//
//	AWS_REGION                  i* c* r* s* as Lambda sets it
//	AWS_ACCESS_KEY_ID           i* c* r* s* as Lambda sets it
//	AWS_SECRET_ACCESS_KEY       i* c* r* s* as Lambda sets it
//	AWS_SESSION_TOKEN           i c r s     as Lambda sets it
//	AWS_ENDPOINT_URL            i c r s     endpoint of every AWS service; default AWS's own
//	AWS_ENDPOINT_URL_SQS        i c r s     endpoint of one service; overrides AWS_ENDPOINT_URL
//	AWS_ENDPOINT_URL_DYNAMODB   i c r s
//	AWS_ENDPOINT_URL_SECRETS_MANAGER  i c r s
//	AWS_ENDPOINT_URL_SNS        s
//	AWS_ENDPOINT_URL_EVENTBRIDGE s
//	AWS_ENDPOINT_URL_SESV2      s
//
// Variables of the tollgate command, all optional: TOLLGATE_TABLE, TOLLGATE_QUEUE_URL and
// TOLLGATE_DLQ_URL (all three or none) name the target system, TOLLGATE_HOLD_QUEUE_URL its hold
// queue, and
// TOLLGATE_WEBHOOK_SECRET_ID, TOLLGATE_API_KEY_SECRET_ID and TOLLGATE_STRIPE_URL its
// secrets and its Stripe API. STRIPE_WEBHOOK_SECRET is the signing secret, or several
// between commas while one is rolled. STRIPE_API_KEY is the key for Stripe's API. The AWS
// SDK reads AWS's variables.
package config
