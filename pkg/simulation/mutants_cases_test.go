package simulation

// caseMutants are seeded bugs in what shows the ledger, and in the move to another API version.
func caseMutants() []mutant {
	return []mutant{
		one("null is a part of every object", "dispatch/announced.go", `			id, expanded := w["id"].(string)
			return expanded && part == id
`, `			return part == w["id"]
`).by("TestAnnounced").in("dispatch"),
		one("an object shows all that its customer has", "ledger/object.go", "		r.about = id\n", "").by("TestReadObject").in("ledger"),
		one("a payment's disputes are shown only with its customer", "ledger/object.go", "found.lists = append(found.lists, effect.PaymentList(r.owner, payment))", "_ = payment").by("TestReadObject").in("ledger"),
		one("a newer version of an event is another event", "idempotency/identity.go", "		e.ID, e.Type, strconv", "		e.ID, e.APIVersion, e.Type, strconv").by("TestMoveToANewerVersion").in("handlers"),
	}
}
