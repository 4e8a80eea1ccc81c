package lossy_test

import (
	"sync"
	"testing"
	"time"

	"tollgate/pkg/limits"
	"tollgate/pkg/local/localtest"
)

// TestLossyMoto runs against moto's DynamoDB, an independent implementation. Its
// transactions are not isolated from other writes, so the proxy lets one request at a
// time through to it.
func TestLossyMoto(t *testing.T) {
	moto := localtest.Moto(t)
	slower := limits.Scaled(10) // as one request waits for the other
	slower.RecordBudget = 1200 * time.Millisecond
	slower.BackoffBase, slower.BackoffCap = short().BackoffBase, short().BackoffCap
	slower.MaxReceives, slower.SuspectReceives = short().MaxReceives, short().SuspectReceives
	slower.BatchSize, slower.BatchConcurrency = 2, 1
	sys := newSystem(t, size{30, 4, 6, 25, *seed}, slower, nil, moto)
	sys.toTable.one = &sync.Mutex{}
	sys.send()
	sys.report(sys.run(sys.empty))
	complain(t, sys.check())
}
