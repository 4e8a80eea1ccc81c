package conformance

// deviates gives one reason to several checks.
func deviates(all map[string]deviation, reason string, checks ...string) {
	for _, name := range checks {
		all[name] = deviation{reason: reason}
	}
}

// races marks checks that a target fails only at times.
func races(all map[string]deviation, reason string, checks ...string) {
	for _, name := range checks {
		all[name] = deviation{reason: reason, racy: true}
	}
}
