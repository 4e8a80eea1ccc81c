package dispatch

import (
	"cmp"
	"maps"
	"strings"
)

// Erased is the field of an item whose customer an operator has erased. The item keeps its key, so
// that no late event is applied again.
const Erased = "erased"

// personal are the fields that lead to a person. A handler that stores another one adds it here.
func personal() []string {
	return []string{"customer", "to", "number", "client_reference_id", "payment_method"}
}

// personalLists are the prefixes of the lists that are named after a person, and of those of messages
// that an operator could still release.
func personalLists() []string { return []string{"CUS#", "REF#", heldPrefix} }

// Anonymize returns a copy of an item's fields without what leads to a person, and without the id
// of a customer, by default the one that it has: what happened, when and for how much stays. It is
// in no list of a person, nor among the messages that are held.
func Anonymize(f Fields, customer string) Fields {
	out := maps.Clone(f)
	own, _ := f["customer"].(string)
	customer = cmp.Or(customer, own)
	maps.DeleteFunc(out, func(name string, v any) bool { return name != "pk" && v == any(customer) && customer != "" })
	for _, name := range personal() {
		delete(out, name)
	}
	list, _ := out[ListName].(string)
	for _, prefix := range personalLists() {
		if strings.HasPrefix(list, prefix) {
			delete(out, ListName)
		}
	}
	out[Erased] = true
	return out
}

// anonymous returns effects as they are written for an object whose row is erased: an event that
// comes later, or again, does not bring its customer back.
func anonymous(row Fields, effects Effects) Effects {
	if row[Erased] != true {
		return effects
	}
	out := make(Effects, len(effects))
	for i, e := range effects {
		if e.Kind != KindCheck {
			e.Fields = Anonymize(e.Fields, "")
		}
		out[i] = e
	}
	return out
}
