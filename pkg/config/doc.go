// Package config reads the environment of a function into typed structs. It is the
// only reader of the environment; mains hand it os.LookupEnv. All faults are reported
// at once, each with the variable's name and what to do, never with a secret's value.
// A variable that is set but empty counts as not set.
//
//	cfg, err := config.LoadIngest(os.LookupEnv)
//
// What the functions read (i ingest, c consumer, r reconcile; * required):
//
//	TOLLGATE_QUEUE_URL          i* c* r*  URL of the queue of events
//	TOLLGATE_WEBHOOK_SECRET_ID  i*        secret with the signing secrets of every endpoint
//	TOLLGATE_ALLOW_IPS          i         addresses and CIDR ranges that may deliver, by commas; default all
//	TOLLGATE_TABLE              c* r*     name of the table of records
//	TOLLGATE_DLQ_URL            c*        URL of the dead-letter queue
//	TOLLGATE_API_KEY_SECRET_ID  c r       secret with Stripe's API key; without it nothing is fetched from Stripe
//	TOLLGATE_STRIPE_URL         c r       Stripe's API; default https://api.stripe.com
//	TOLLGATE_ENDPOINTS          c r       JSON, which events each endpoint takes: see [policy.Policy]
//	TOLLGATE_MAX_RECEIVES       c         receives before SQS moves a message to the DLQ; default limits.AWS().MaxReceives
//	TOLLGATE_RECONCILE          r         JSON, the accounts to list and their endpoints: {"-":"default","acct_1":"connect"}; default the first
//	TOLLGATE_HOLD_AFTER         c         duration of 1m to 87600h; messages about states that were older at their event's receipt are held; default 24h
//	TOLLGATE_BEGIN              c r       RFC 3339 time, from when on events are compared and mail is sent; default what the table has for each account
//	TOLLGATE_STAGE              i c r     name of the deployment in logs and metrics; default "dev"
//	TOLLGATE_LOG_LEVEL          i c r     debug, info, warn or error; default info
//	TOLLGATE_TIME_SCALE         i c r     1 to 200, divides every time of queue and consumer in drills; default 1
//
//	AWS_REGION                  i* c* r*  as Lambda sets it
//	AWS_ACCESS_KEY_ID           i* c* r*  as Lambda sets it
//	AWS_SECRET_ACCESS_KEY       i* c* r*  as Lambda sets it
//	AWS_SESSION_TOKEN           i c r     as Lambda sets it
//	AWS_ENDPOINT_URL            i c r     endpoint of every AWS service, instead of AWS's own
//	AWS_ENDPOINT_URL_SQS        i c r     endpoint of one service; goes before AWS_ENDPOINT_URL
//	AWS_ENDPOINT_URL_DYNAMODB   i c r
//	AWS_ENDPOINT_URL_SECRETS_MANAGER  i c r
//
// What the tollgate command reads, none of it required: TOLLGATE_TABLE,
// TOLLGATE_QUEUE_URL and TOLLGATE_DLQ_URL, all three or none, name the system to work
// on, and TOLLGATE_WEBHOOK_SECRET_ID, TOLLGATE_API_KEY_SECRET_ID and TOLLGATE_STRIPE_URL
// its secrets and its Stripe; STRIPE_WEBHOOK_SECRET is the signing secret, or several by
// commas while one is rolled; STRIPE_API_KEY is the key for Stripe's API. AWS's own
// variables are read by AWS's own library, as its other tools do.
package config
