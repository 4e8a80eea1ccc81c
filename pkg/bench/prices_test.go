package bench

// What AWS bills.
const (
	apiRequests   = "API requests"
	invocations   = "Lambda invocations"
	computeTime   = "Lambda GB-s"
	sqsRequests   = "SQS requests"
	writeUnits    = "write units"
	readUnits     = "read units"
	logBytes      = "log bytes"
	secretCalls   = "secret calls"
	pauseReads    = "reads of the pauses"
	storageMonths = "stored GB-months"
	backupMonths  = "backup GB-months"
	alarmMetrics  = "alarm metrics"
	composites    = "composite alarms"
	metrics       = "custom metrics"
	secretsKept   = "secrets"
)

// Prices of us-east-1 in US dollars, on demand, without a free tier, as of priced. Check yours.
const priced = "2026-11-21"

func prices() counts {
	return counts{
		apiRequests:   1.00e-6, // HTTP API, the first 300 M, in steps of 512 KB
		invocations:   0.20e-6,
		computeTime:   13.3334e-6, // arm64
		sqsRequests:   0.40e-6,    // standard queue, in steps of 64 KiB
		writeUnits:    0.625e-6,
		readUnits:     0.125e-6, // strongly consistent, in steps of 4 KB
		logBytes:      0.50e-9,  // ingestion; storage is 0.03 per GB-month
		secretCalls:   5.00e-6,
		pauseReads:    0.125e-6, // read units
		storageMonths: 0.25,
		backupMonths:  0.20, // point-in-time recovery
		alarmMetrics:  0.10,
		composites:    0.50,
		metrics:       0.30,
		secretsKept:   0.40,
	}
}

// dollars prices a count.
func (c counts) dollars() (sum float64) {
	p := prices()
	for name, n := range c {
		sum += n * p[name]
	}
	return sum
}

// Assumed, as no machine here can measure them: times that Lambda bills, and the share of cold
// starts with the median start of a Go function.
const (
	ingestSeconds   = 0.015
	consumerSeconds = 0.025 // for each event
	coldShare       = 0.01
	coldSeconds     = 0.0425
	runSeconds      = 0.1 // of a reconcile or outbox run
	memoryGB        = 0.25
)
