package conformance

func dynaliteDeviations() map[string]deviation {
	return map[string]deviation{}
}
