package simulation

// fetchMutants are seeded bugs in the use of objects fetched from Stripe.
func fetchMutants() []mutant {
	const (
		coalesce  = "dispatch/coalesce.go"
		current   = "dispatch/current.go"
		announced = "dispatch/announced.go"
	)
	return []mutant{
		one("coalescing reads the consumer's clock", coalesce, "row[FetchedAfter].(int64)", "row[FetchedAt].(int64)"),
		one("a lagging copy is taken at once", current, "if e.shows(shows, snap, now) {", "if e.shows(shows, snap, now) || true {"),
		one("every event counts as settled", announced, "if age >= settle {", "if age >= 0 {"),
	}
}
