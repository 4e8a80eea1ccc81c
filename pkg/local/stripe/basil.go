package stripe

import "encoding/json"

// goneInBasil are the fields that version 2025-03-31.basil took away, by the kind of
// the object. Some have a successor elsewhere, see [basilObject].
var goneInBasil = map[string][]string{
	"subscription": {"current_period_start", "current_period_end", "discount"},
	"invoice": {
		"application_fee_amount", "charge", "discount", "paid", "paid_out_of_band", "payment_intent", "quote",
		"subscription", "subscription_details", "subscription_proration_date", "tax", "total_tax_amounts", "transfer_data",
	},
	"charge":           {"invoice"},
	"payment_intent":   {"invoice"},
	"line_item":        {"amount_excluding_tax", "invoice_item", "price", "proration", "proration_details", "subscription_item", "tax_amounts", "tax_rates", "type", "unit_amount_excluding_tax"},
	"invoiceitem":      {"price", "subscription", "subscription_item", "unit_amount", "unit_amount_decimal"},
	"checkout.session": {"shipping_details"},
	"credit_note":      {"refund", "tax_amounts"},
	"plan":             {"aggregate_usage"},
}

// basilObject renders an object of 2023-10-16 as a version of basil or later does: the
// fields that moved are gone, and those of subscriptions, invoices, their lines and
// invoice items stand where they went. An invoice's payments are not there: Stripe
// sends them only when they are asked to be expanded, which an event never is. What is
// no object, or of a kind that did not change, comes back as it is, byte for byte.
func basilObject(raw json.RawMessage, version string) json.RawMessage {
	m, ok := readMembers(raw)
	if !ok {
		return raw
	}
	kind := text(m.get("object"))
	switch kind {
	case "subscription":
		return basilSubscription(m).json()
	case "invoice":
		return basilInvoice(m).json()
	case "line_item":
		return basilLine(m).json()
	case "invoiceitem":
		return basilInvoiceItem(m).json()
	case "checkout.session":
		return basilCheckout(m).json()
	case "price":
		return basilPrice(m).json()
	case "discount", "promotion_code":
		if !isClover(version) {
			return raw
		}
		return cloverCoupon(kind, m).json()
	}
	if gone := goneInBasil[kind]; gone != nil {
		return m.without(gone...).json()
	}
	return raw
}

// basilPrevious takes the moved fields out of previous_attributes.
func basilPrevious(raw json.RawMessage, kind string) json.RawMessage {
	m, ok := readMembers(raw)
	if gone := goneInBasil[kind]; ok && len(m.without(gone...)) < len(m) {
		return m.without(gone...).json()
	}
	return raw
}

// basilSubscription gives each item the subscription's period.
func basilSubscription(m members) members {
	start, end := m.get("current_period_start"), m.get("current_period_end")
	items := eachElement(m.get("items"), func(item members) members {
		item = item.set("current_period_end", orNull(end)).set("current_period_start", orNull(start))
		if price, ok := readMembers(item.get("price")); ok {
			item = item.replace("price", basilPrice(price).json())
		}
		return item
	})
	return m.replace("items", items).without(goneInBasil["subscription"]...)
}

// basilInvoice names under parent what the invoice is for.
func basilInvoice(m members) members {
	parent := json.RawMessage("null")
	switch subscription, quote := m.get("subscription"), m.get("quote"); {
	case !isNull(subscription):
		details, _ := readMembers(m.get("subscription_details"))
		inner := object("metadata", details.get("metadata"), "subscription", subscription)
		if date := m.get("subscription_proration_date"); !isNull(date) {
			inner = inner.set("subscription_proration_date", date)
		}
		parent = object("quote_details", nil, "subscription_details", inner, "type", "subscription_details").json()
	case !isNull(quote):
		parent = object("quote_details", object("quote", quote), "subscription_details", nil, "type", "quote_details").json()
	}
	lines := eachElement(m.get("lines"), basilLine)
	return m.replace("lines", lines).without(goneInBasil["invoice"]...).set("parent", parent)
}

// basilLine moves a line's price under pricing, and what it is for under parent.
func basilLine(m members) members {
	from := object(
		"proration", m.get("proration"), "proration_details", m.get("proration_details"),
		"subscription", m.get("subscription"),
	)
	kind := "invoice_item_details"
	if text(m.get("type")) == "subscription" {
		kind = "subscription_item_details"
		from = from.set("subscription_item", orNull(m.get("subscription_item")))
	}
	from = from.set("invoice_item", orNull(m.get("invoice_item")))
	other := map[string]string{"invoice_item_details": "subscription_item_details", "subscription_item_details": "invoice_item_details"}[kind]
	parent := object(kind, from, other, nil, "type", kind)
	pricing := basilPricing(m)
	return m.without(goneInBasil["line_item"]...).set("parent", parent.json()).set("pricing", pricing)
}

func basilInvoiceItem(m members) members {
	parent := json.RawMessage("null")
	if subscription := m.get("subscription"); !isNull(subscription) {
		parent = object("subscription_details", object("subscription", subscription, "subscription_item", m.get("subscription_item")), "type", "subscription_details").json()
	}
	pricing := basilPricing(m)
	return m.without(goneInBasil["invoiceitem"]...).set("parent", parent).set("pricing", pricing)
}

// basilPricing refers to a price by its id, where it used to be embedded.
func basilPricing(m members) json.RawMessage {
	price, ok := readMembers(m.get("price"))
	if !ok {
		return json.RawMessage("null")
	}
	return object(
		"price_details", object("price", price.get("id"), "product", price.get("product")),
		"type", "price_details",
		"unit_amount_decimal", price.get("unit_amount_decimal"),
	).json()
}

func basilCheckout(m members) members {
	collected, ok := readMembers(m.get("collected_information"))
	if shipping := m.get("shipping_details"); ok || !isNull(shipping) {
		m = m.set("collected_information", collected.set("shipping_details", orNull(shipping)).json())
	}
	return m.without(goneInBasil["checkout.session"]...)
}

func basilPrice(m members) members {
	if recurring, ok := readMembers(m.get("recurring")); ok {
		return m.replace("recurring", recurring.without("aggregate_usage").json())
	}
	return m
}

// cloverCoupon moves a coupon under source, or under promotion.
func cloverCoupon(kind string, m members) members {
	under := map[string]string{"discount": "source", "promotion_code": "promotion"}[kind]
	inner := object("coupon", couponID(m.get("coupon")), "type", "coupon")
	return m.without("coupon").set(under, inner.json())
}

// couponID is the id of a coupon that may be embedded.
func couponID(raw json.RawMessage) json.RawMessage {
	if m, ok := readMembers(raw); ok {
		return m.get("id")
	}
	return raw
}
