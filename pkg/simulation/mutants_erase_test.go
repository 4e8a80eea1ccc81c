package simulation

// eraseMutants are those of erasing a customer, and of the rights of functions and people.
func eraseMutants() []mutant {
	const rules = "dispatch/erase.go"
	return []mutant{
		one("reconcile writes a key that its role lacks", "dynamostore/coverage.go", "return limits.KeyCoverage + event.Mode", `return "SLICE#" + event.Mode`).by("TestRoles").in("run/runsender"),
		one("a backfill writes a key that operators lack", "dynamostore/coverage.go", "return limits.KeyCoverage + event.Mode", `return "SLICE#" + event.Mode`).by("TestBackfillKeepsToThePolicy").in("cmd/tollgate"),
		one("an event brings an erased customer back", "dispatch/current.go", "return anonymous(e.Row, effects), err", "return effects, err").by("TestEraseMeetsEvents").in("cmd/tollgate"),
		one("a repair brings an erased customer back", "dispatch/refresh.go", "return anonymous(e.Row, effects), err", "return effects, err").by("TestEraseMeetsEvents").in("cmd/tollgate"),
		one("a held message of an erased customer stays held", rules, `"REF#", heldPrefix}`, `"REF#"}`).by("TestEraseMeetsEvents").in("cmd/tollgate"),
		one("an active customer is erased", "ledger/erase.go", `a["active"] == true`, `a["active"] == "true"`).by("TestEraseWaits").in("cmd/tollgate"),
	}
}
