package conformance

func motoDeviations() map[string]deviation {
	return map[string]deviation{}
}
