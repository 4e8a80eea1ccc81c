package queue

import "testing"

func TestFingerprint(t *testing.T) {
	const panicked = "handler panicked: index out of range [5] at pkg/handlers/invoice.go:42 (handlers.paid)"
	for name, c := range map[string]struct {
		a, b string
		same bool
	}{
		"numbers":                {"took 5 s", "took 17 s", true},
		"ids":                    {"no cus_Abc123456", "no cus_Xyz987654", true},
		"another text":           {"took 5 s", "lost 5 s", false},
		"the same place":         {panicked, "handler panicked: index out of range [7] at pkg/handlers/invoice.go:42 (handlers.paid)", true},
		"another line":           {panicked, "handler panicked: index out of range [5] at pkg/handlers/invoice.go:43 (handlers.paid)", false},
		"another handler's code": {panicked, "handler panicked: index out of range [5] at pkg/handlers/dispute.go:42 (handlers.opened)", false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Fingerprint("t", "r", c.a) == Fingerprint("t", "r", c.b); got != c.same {
				t.Errorf("the same: %t, want %t", got, c.same)
			}
		})
	}
}
