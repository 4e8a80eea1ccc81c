package conformance

// dynaliteDeviations lists what dynalite 4.0.0 does otherwise.
func dynaliteDeviations() map[string]deviation {
	all := map[string]deviation{}
	deviates(all, "The API reference is right: dynalite has no transactions.",
		"dynamodb/transact/all-kinds", "dynamodb/transact/several-tables", "dynamodb/transact/atomic", "dynamodb/transact/reasons-in-order",
		"dynamodb/transact/all-old-in-reasons", "dynamodb/transact/condition-check-alone", "dynamodb/transact/token-repeats",
		"dynamodb/transact/token-mismatch", "dynamodb/transact/token-of-failed",
		"dynamodb/transact-limit/one-item-twice-refused", "dynamodb/transact-limit/100-actions", "dynamodb/transact-limit/4-mb",
		"dynamodb/transact-limit/validation-cancels", "dynamodb/transact-limit/missing-table-refused",
		"dynamodb/transact-limit/update-item-size", "dynamodb/race/transaction", "dynamodb/capacity/transaction")
	deviates(all, "The developer guide is right: dynalite counts no writes of index entries.", "dynamodb/capacity/index-write")
	deviates(all, "The developer guide is right: dynalite charges a consistent scan as an eventually consistent one.", "dynamodb/capacity/query")
	deviates(all, "The API reference is right: dynalite cannot change time to live.",
		"dynamodb/ttl/enable", "dynamodb/ttl/enable-twice-refused", "dynamodb/ttl/missing-table", "dynamodb/ttl/expired-item-is-read")
	deviates(all, "The API reference is right: dynalite does not know ReturnValuesOnConditionCheckFailure.",
		"dynamodb/put/all-old-on-failed-condition", "dynamodb/update/all-old-on-failed-condition", "dynamodb/delete/all-old-on-failed-condition")
	deviates(all, "The documentation is right: dynalite's arithmetic has no bounds.",
		"dynamodb/update-refused/precision", "dynamodb/update-refused/overflow")
	deviates(all, "The quotas are right: dynalite does not limit nesting, the size of an expression and the operands of IN.",
		"dynamodb/limit/nesting", "dynamodb/update-refused/expression-size", "dynamodb/condition-refused/in-101")
	deviates(all, "The documented size rule is right: dynalite counts a name's UTF-16 units.", "dynamodb/limit/item-size-counts-utf8")
	deviates(all, "The documented order is right: dynalite compares strings of a condition by UTF-16 units.", "dynamodb/condition/string-order-is-utf8")
	deviates(all, "The documentation's own example is right: dynalite removes elements one after the other, each by the index that is left.",
		"dynamodb/update/remove-list-elements")
	deviates(all, "The documentation is right: dynalite compares lists and maps as the JSON that was sent.",
		"dynamodb/condition/equality-of-documents", "dynamodb/function/contains")
	deviates(all, "The documentation is right: dynalite gives an empty string no size.", "dynamodb/function/size")
	deviates(all, "AWS refuses an operator that cannot apply to an operand's type: dynalite takes such a comparison as false.",
		"dynamodb/condition-refused/between-documents")
	deviates(all, "The documented grammar allows it: dynalite wants parentheses after the first NOT.", "dynamodb/condition/not-twice")
	deviates(all, "The documentation is right: dynalite leaves an item with an empty index key out of the index.", "dynamodb/index/empty-key-refused")
	return all
}
