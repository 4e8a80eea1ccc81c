package conformance

func localSQSDeviations() map[string]deviation {
	return map[string]deviation{}
}
