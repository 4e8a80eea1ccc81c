package event

import "testing"

func TestSampledTrace(t *testing.T) {
	const id = "1-6afe5866-2f6c3e0d4f9b8a7c6d5e4f30"
	for header, want := range map[string]string{
		"Root=" + id + ";Parent=53995c3f42cd8ad8;Sampled=1":               id,
		"Sampled=1;Root=" + id:                                            id,
		"Root=" + id + ";Parent=53995c3f42cd8ad8;Sampled=1;Lineage=1:a:0": id,
		"Root=" + id + ";Parent=53995c3f42cd8ad8;Sampled=0":               "",
		"Root=" + id: "",
		"Sampled=1":  "",
		"":           "",
	} {
		if got := SampledTrace(header); got != want {
			t.Errorf("%q: %q, want %q", header, got, want)
		}
	}
}
