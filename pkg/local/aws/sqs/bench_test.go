package sqs_test

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"testing"

	"tollgate/pkg/local/aws/sqs"
)

// The benchmarks call operations without HTTP, 16 at once: go test -bench . -benchtime 5s
const (
	benchClients = 16
	benchURL     = `"QueueUrl":"http://x/000000000000/q"`
)

func benchService(b *testing.B, messages int) func(operation, body string) any {
	s, err := sqs.Open(filepath.Join(b.TempDir(), "sqs.db"), sqs.Options{})
	check(b, err)
	b.Cleanup(func() { s.Close() })
	operations := s.Service().Operations
	run := func(operation, body string) any {
		out, err := operations[operation](context.Background(), []byte(body))
		if err != nil {
			b.Error(err)
		}
		return out
	}
	run("CreateQueue", `{"QueueName":"q","Attributes":{"VisibilityTimeout":"3600"}}`)
	entries := ""
	for i := range 10 {
		entries += fmt.Sprintf(`,{"Id":"%d","MessageBody":%q}`, i, benchBody)
	}
	var wg sync.WaitGroup
	for range benchClients {
		wg.Go(func() {
			for range messages/10/benchClients + 1 {
				run("SendMessageBatch", `{`+benchURL+`,"Entries":[`+entries[1:]+`]}`)
			}
		})
	}
	wg.Wait()
	b.SetParallelism(benchClients / 2) // times GOMAXPROCS, 2 on the machine that it was written on
	b.ResetTimer()
	return run
}

// benchBody is as large as an envelope of an ordinary event.
var benchBody = fmt.Sprintf("%02000d", 7)

func BenchmarkSend(b *testing.B) {
	run := benchService(b, 0)
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			run("SendMessage", `{`+benchURL+`,"MessageBody":"`+benchBody+`"}`)
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "sends/s")
}

func benchReceiveDelete(b *testing.B, backlog int) {
	run := benchService(b, b.N+backlog)
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			out := fmt.Sprintf("%+v", run("ReceiveMessage", `{`+benchURL+`}`))
			var handle string
			if i := len("{Messages:[{MessageId:00000000-0000-0000-0000-000000000000 ReceiptHandle:"); len(out) > i+52 {
				handle = out[i : i+52]
			}
			run("DeleteMessage", `{`+benchURL+`,"ReceiptHandle":"`+handle+`"}`)
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "receive+delete/s")
}

func BenchmarkReceiveDelete(b *testing.B) { benchReceiveDelete(b, 0) }

func BenchmarkReceiveDeleteOf100k(b *testing.B) { benchReceiveDelete(b, 100_000) }
