package conformance

import "maps"

// motoDeviations lists what moto 5.2.1 does otherwise; where nothing else is said the documentation is right.
func motoDeviations() map[string]deviation {
	all := map[string]deviation{}
	maps.Copy(all, motoItems())
	maps.Copy(all, motoExpressions())
	maps.Copy(all, motoReads())
	maps.Copy(all, motoTransactions())
	maps.Copy(all, motoQueues())
	deviates(all, "The quota is right: moto takes values of any size.", "secretsmanager/value/65536-bytes")
	return all
}

func motoItems() map[string]deviation {
	all := map[string]deviation{}
	deviates(all, "The documentation is right: moto keeps a number as it was written and computes in binary floating point.",
		"dynamodb/number/normal-form", "dynamodb/number/nested-normal-form", "dynamodb/number/38-digits", "dynamodb/number/range",
		"dynamodb/number/arithmetic-is-exact", "dynamodb/number/not-a-number-refused", "dynamodb/table/binary-and-numeric-keys",
		"dynamodb/key-condition/numeric-range", "dynamodb/delete-action/from-set", "dynamodb/update-refused/precision", "dynamodb/update-refused/overflow")
	deviates(all, "The documented size rule is right: moto measures the JSON text of the item.",
		"dynamodb/limit/item-400-kb", "dynamodb/limit/item-size-counts-utf8")
	deviates(all, "The quota is right: moto nests without limit.", "dynamodb/limit/nesting")
	deviates(all, "The documentation is right: moto checks empty sets of some types and at the top only, and duplicates not at all.",
		"dynamodb/put/empty-set-refused", "dynamodb/put/duplicate-in-set-refused")
	deviates(all, "The documentation is right: moto refuses an empty key only if it is a string.", "dynamodb/put/empty-key-refused")
	deviates(all, "The naming rules are right: moto takes names of any length.", "dynamodb/table/short-name-refused")
	deviates(all, "The documentation is right: moto checks the types of index keys in some writes only.", "dynamodb/index/wrong-key-type-refused")
	deviates(all, "The API reference is right: moto names the error ResourceNotFound.", "dynamodb/ttl/missing-table")
	races(all, "The API reference is right: moto loses its place in the list when the table it would go on after is deleted meanwhile.", "dynamodb/table/list-pages")
	deviates(all, "The API reference is right: moto forgets the first attribute.", "dynamodb/ttl/enable-twice-refused")
	return all
}

func motoExpressions() map[string]deviation {
	all := map[string]deviation{}
	deviates(all, "The API reference makes UpdateExpression optional: moto answers 500 without it.", "dynamodb/update/without-expression")
	deviates(all, "The documented grammar is right: moto reads some malformed expressions and answers 500 to others.",
		"dynamodb/update-refused/syntax", "dynamodb/condition-refused/syntax", "dynamodb/condition-refused/undefined-value",
		"dynamodb/condition-refused/path-functions", "dynamodb/condition/not-twice")
	deviates(all, "The documentation is right: moto does not check operand types, so a bad condition is merely false.",
		"dynamodb/condition-refused/between-documents", "dynamodb/condition-refused/begins-with-number", "dynamodb/condition-refused/attribute-type-name")
	deviates(all, "The documentation is right: moto answers 500 where a comparison meets another type or no attribute.",
		"dynamodb/condition/types-differ", "dynamodb/function/size")
	deviates(all, "The documentation is right: moto looks for parts of strings only, not of binaries.",
		"dynamodb/function/begins-with", "dynamodb/function/contains")
	deviates(all, "The quota is right: moto has no limit of an expression's size and operands.",
		"dynamodb/update-refused/expression-size", "dynamodb/condition-refused/in-101")
	deviates(all, "The documentation is right: moto reports the name that is defined as unused instead of the one that is not defined.",
		"dynamodb/update-refused/undefined-name")
	return all
}

func motoReads() map[string]deviation {
	all := map[string]deviation{}
	deviates(all, "The API reference is right: moto finds nothing under a malformed key and reports no error.", "dynamodb/get/wrong-key-refused")
	deviates(all, "The documentation is right: moto projects one element of a list only, and overlapping paths without complaint.",
		"dynamodb/get/projection", "dynamodb/get/projection-overlap-refused")
	deviates(all, "The documentation is right: moto answers 500 to some malformed queries and takes others.",
		"dynamodb/key-condition/operators-refused", "dynamodb/key-condition/wrong-type-refused", "dynamodb/query/start-key",
		"dynamodb/query/filter-on-key-refused")
	deviates(all, "The API reference is right: moto's scan ignores Select COUNT.", "dynamodb/scan/count")
	deviates(all, "AWS answers ValidationException: moto answers ResourceNotFoundException for a missing index.", "dynamodb/index/missing-refused")
	return all
}

func motoTransactions() map[string]deviation {
	all := map[string]deviation{}
	deviates(all, "The API reference is right: moto ignores the client token.", "dynamodb/transact/token-repeats", "dynamodb/transact/token-mismatch")
	deviates(all, "The quota is right: moto does not add up the items of a transaction.", "dynamodb/transact-limit/4-mb")
	deviates(all, "The developer guide is right: moto answers a capacity of its own that depends on no size.",
		"dynamodb/capacity/write", "dynamodb/capacity/index-write", "dynamodb/capacity/read", "dynamodb/capacity/query",
		"dynamodb/capacity/batch", "dynamodb/capacity/transaction")
	races(all, "The documentation is right: moto's writes are not isolated from each other.",
		"dynamodb/race/conditional-put", "dynamodb/race/counter", "dynamodb/race/transaction")
	return all
}

func motoQueues() map[string]deviation {
	all := map[string]deviation{}
	deviates(all, "The documentation is right: moto takes any character, so no entry of a batch fails alone.",
		"sqs/limit/character-set", "sqs/batch/partial-failure")
	deviates(all, "The quota is right: moto counts characters, and the body alone.", "sqs/limit/message-1-mib", "sqs/limit/attributes-count-to-size")
	deviates(all, "The documentation is right: moto does not check the number and content of message attributes.",
		"sqs/limit/ten-attributes", "sqs/message-attributes/invalid-refused")
	deviates(all, "The API reference is right: moto takes an empty body.", "sqs/send/missing-body-refused")
	deviates(all, "The API reference is right: moto checks few queue attributes.", "sqs/queue-attributes/invalid-refused")
	deviates(all, "The API reference has whole seconds: moto gives CreatedTimestamp fractions.", "sqs/queue-attributes/defaults")
	deviates(all, "The API reference is right: moto ignores MaxResults.", "sqs/queue/list-pages")
	deviates(all, "The API reference is right: moto takes negative times.", "sqs/visibility/over-12-hours-refused")
	deviates(all, "The API reference is right: moto takes any text for a trace header.", "sqs/system-attributes/trace-header-refused")
	races(all, "The documentation is right: moto gives a message to several receivers that ask at the same time.", "sqs/receive/each-message-to-one")
	deviates(all, "The API reference is right: moto does not tell where a dead letter came from.", "sqs/dead-letter/source-attribute")
	return all
}
