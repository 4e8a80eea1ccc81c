package lambdahost

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// Lambda's own limits on one synchronous invocation, in bytes.
const (
	MaxRequestBytes  = 6 << 20     // 6,291,456
	MaxResponseBytes = 6<<20 + 100 // 6,291,556
	maxErrorBytes    = 256 << 10   // of an error report; the rest is cut off
	maxTimeout       = 15 * time.Minute
	maxConcurrency   = 1000
	defaultRegion    = "us-east-1"
	localAccount     = "000000000000"
	functionVersion  = "$LATEST"
	handlerName      = "bootstrap" // what Lambda sets for a Go binary
	memoryMB         = "128"       // given to the function; not enforced
	defaultTimeout   = 3 * time.Second
	defaultInitLimit = 10 * time.Second
)

// Options describe one function.
type Options struct {
	// Name is the function's name: letters, digits, "-" and "_", at most 64. Required.
	Name string
	// Path is the binary that implements the function. Required. It is checked in [New]
	// and at each start, so it may be rebuilt while the host runs.
	Path string
	// Env is the function's configuration. Names that Lambda reserves are
	// refused, except AWS_REGION and AWS_DEFAULT_REGION (us-east-1), TZ (:UTC),
	// LANG and PATH, for which it replaces the default. Nothing is inherited.
	Env map[string]string
	// Timeout bounds one invocation; the process is killed when it is over.
	// Defaults to 3 s, at most 15 minutes.
	Timeout time.Duration
	// Late is how long after its timeout the process is killed. Defaults to 0. Lambda
	// guarantees no moment: a paused process may resume after its timeout.
	Late time.Duration
	// Concurrency is the most environments (processes) at a time. Defaults to 1, at most 1,000.
	Concurrency int
	// InitTimeout bounds the time from the start of a process to its first
	// request for an invocation. Defaults to 10 s, Lambda's own limit.
	InitTimeout time.Duration
	// Stdout and Stderr get the function's output, one Write per line of at most
	// MaxLineBytes and the newline, never two at once. A slow writer slows the
	// function down; a write error drops the line. Default: discarded.
	Stdout, Stderr io.Writer
}

var functionName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// withDefaults returns a checked copy.
func (o Options) withDefaults() (Options, error) {
	o.Env = maps.Clone(o.Env)
	o.Timeout = cmp.Or(o.Timeout, defaultTimeout)
	o.InitTimeout = cmp.Or(o.InitTimeout, defaultInitLimit)
	o.Concurrency = cmp.Or(o.Concurrency, 1)
	o.Stdout, o.Stderr = cmp.Or(o.Stdout, io.Discard), cmp.Or(o.Stderr, io.Discard)
	if err := o.validate(); err != nil {
		return o, err
	}
	path, err := filepath.Abs(o.Path)
	if err != nil {
		return o, fmt.Errorf("resolve function binary: %w", err)
	}
	o.Path = path
	if err := checkBinary(path); err != nil {
		return o, &StartError{Function: o.Name, Err: err}
	}
	return o, nil
}

func (o Options) validate() error {
	switch {
	case !functionName.MatchString(o.Name):
		return fmt.Errorf("function name %q is not 1 to 64 of letters, digits, - and _", o.Name)
	case o.Path == "":
		return errors.New("function has no path of a binary")
	case o.Timeout < 0 || o.Timeout > maxTimeout:
		return fmt.Errorf("function timeout %v is not in 0 to %v", o.Timeout, maxTimeout)
	case o.Late < 0:
		return errors.New("function has a negative time to be killed late")
	case o.InitTimeout < 0:
		return errors.New("function has a negative init timeout")
	case o.Concurrency < 0 || o.Concurrency > maxConcurrency:
		return fmt.Errorf("function concurrency %d is not in 1 to %d", o.Concurrency, maxConcurrency)
	}
	for name, value := range o.Env {
		if name == "" || strings.ContainsAny(name, "=\x00") || strings.Contains(value, "\x00") {
			return fmt.Errorf("function environment variable %q is not one a process can have", name)
		}
		if reserved(name) {
			return fmt.Errorf("function environment variable %s is reserved by Lambda", name)
		}
	}
	return nil
}

// reserved reports whether Lambda, and so the host, sets a variable.
func reserved(name string) bool {
	return strings.HasPrefix(name, "AWS_LAMBDA_") || strings.HasPrefix(name, "LAMBDA_") ||
		name == "_HANDLER" || name == "_X_AMZN_TRACE_ID" || name == "AWS_EXECUTION_ENV"
}

// checkBinary returns a one-line error if path cannot be executed.
func checkBinary(path string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return hostError(TypeInvalidEntrypoint, "", "no binary at %s", path)
	case err != nil:
		return hostError(TypeInvalidEntrypoint, "", "%v", err)
	case !info.Mode().IsRegular():
		return hostError(TypeInvalidEntrypoint, "", "%s is not a regular file", path)
	case filepath.Ext(path) != ".exe" && info.Mode().Perm()&0o111 == 0:
		return hostError(TypeInvalidEntrypoint, "", "%s is not executable", path)
	}
	return nil
}

func (o Options) region() string {
	if r := o.Env["AWS_REGION"]; r != "" {
		return r
	}
	return defaultRegion
}

// arn is the function's ARN.
func (o Options) arn() string {
	return "arn:aws:lambda:" + o.region() + ":" + localAccount + ":function:" + o.Name
}

// environ is the whole environment of one process.
func (o Options) environ(runtimeAPI, logStream string) []string {
	vars := map[string]string{
		"AWS_REGION":         o.region(),
		"AWS_DEFAULT_REGION": o.region(),
		"LANG":               "en_US.UTF-8",
		"PATH":               "/usr/local/bin:/usr/bin:/bin:/opt/bin",
		"TZ":                 ":UTC",
	}
	maps.Copy(vars, o.Env)
	maps.Copy(vars, map[string]string{
		"_HANDLER":                        handlerName,
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": memoryMB,
		"AWS_LAMBDA_FUNCTION_NAME":        o.Name,
		"AWS_LAMBDA_FUNCTION_VERSION":     functionVersion,
		"AWS_LAMBDA_INITIALIZATION_TYPE":  "on-demand",
		"AWS_LAMBDA_LOG_FORMAT":           "Text",
		"AWS_LAMBDA_LOG_GROUP_NAME":       "/aws/lambda/" + o.Name,
		"AWS_LAMBDA_LOG_STREAM_NAME":      logStream,
		"AWS_LAMBDA_RUNTIME_API":          runtimeAPI,
		"LAMBDA_RUNTIME_DIR":              "/var/runtime",
		"LAMBDA_TASK_ROOT":                filepath.Dir(o.Path),
	})
	list := make([]string, 0, len(vars))
	for name, value := range vars {
		list = append(list, name+"="+value)
	}
	return list
}
