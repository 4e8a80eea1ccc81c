package conformance

func fauxqsDeviations() map[string]deviation {
	return map[string]deviation{}
}
