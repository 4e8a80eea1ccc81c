package lambdahost

import (
	"context"
	"os"
	"testing"
)

func BenchmarkInvoke(b *testing.B) {
	for _, bench := range []struct {
		name        string
		concurrency int
	}{{"one environment", 1}, {"four environments", 4}} {
		b.Run(bench.name, func(b *testing.B) {
			path, err := os.Executable()
			if err != nil {
				b.Fatal(err)
			}
			f, err := New(Options{Name: "bench", Path: path, Concurrency: bench.concurrency})
			if err != nil {
				b.Fatal(err)
			}
			defer f.Close(context.Background())
			payload := []byte(`{"Do":"echo","Text":"hello"}`)
			b.SetParallelism(max(1, bench.concurrency/2))
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := f.InvokeWait(b.Context(), payload, 1e10); err != nil {
						b.Error(err)
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "invokes/s")
		})
	}
}

func BenchmarkColdStart(b *testing.B) {
	path, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		f, err := New(Options{Name: "bench", Path: path})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := f.Invoke(b.Context(), []byte(`{"Do":"echo"}`)); err != nil {
			b.Error(err)
		}
		f.Close(context.Background())
	}
}
