package local

import (
	"bytes"
	"strings"
	"testing"
)

func TestLogLinesDoNotSteerTheTerminal(t *testing.T) {
	var out bytes.Buffer
	line := `{"level":"INFO","message":"outbox message","key":"pi_\u001b[31m\u009b2J\u202ex\r","stack":"a\n03:00:00 ERROR forged\n\tb"}`
	if _, err := newLogLines(&out, "info", newLogs()).of("consumer").Write([]byte(line + "\n")); err != nil {
		t.Fatal(err)
	}
	got := out.String()
	if strings.ContainsAny(got, "\x1b\u009b\u202e\r") {
		t.Errorf("wrote %q", got)
	}
	lines := strings.Split(strings.TrimSuffix(got, "\n"), "\n")
	if len(lines) != 3 || !strings.HasPrefix(lines[1], "    03:00:00") || !strings.HasPrefix(lines[2], "    \tb") {
		t.Errorf("wrote lines %q, want two indented ones behind the first", lines)
	}
}
