package start

import (
	"runtime"
	"runtime/debug"
	"testing"
)

// settings are those of the running process, as tune changes them.
type settings struct {
	procs, percent int
	limit          int64
}

func apply(s settings) (before settings) {
	return settings{runtime.GOMAXPROCS(s.procs), debug.SetGCPercent(s.percent), debug.SetMemoryLimit(s.limit)}
}

func TestTune(t *testing.T) {
	plain := settings{2, 100, 1 << 40}
	defer apply(apply(plain))
	for name, tt := range map[string]struct {
		env  map[string]string
		want settings
	}{
		"a share of a CPU": {map[string]string{"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256"}, settings{1, 400, 192 << 20}},
		"a whole CPU":      {map[string]string{"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "2000"}, settings{2, 400, 1500 << 20}},
		"not on Lambda":    {nil, plain},
		"overridden": {map[string]string{
			"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256", "GOMAXPROCS": "2", "GOGC": "100", "GOMEMLIMIT": "1TiB",
		}, plain},
	} {
		apply(plain)
		tune(func(name string) (string, bool) { value, ok := tt.env[name]; return value, ok })
		if got := apply(plain); got != tt.want {
			t.Errorf("%s: %+v, want %+v", name, got, tt.want)
		}
	}
}
