package event

import "strings"

// SampledTrace returns the id of the trace that an X-Ray trace header belongs to, "" unless the
// trace is recorded: the id of another one leads to nothing.
func SampledTrace(header string) (id string) {
	sampled := false
	for part := range strings.SplitSeq(header, ";") {
		if root, ok := strings.CutPrefix(part, "Root="); ok {
			id = root
		}
		sampled = sampled || part == "Sampled=1"
	}
	if !sampled {
		return ""
	}
	return id
}
