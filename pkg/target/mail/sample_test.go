package mail

import "tollgate/pkg/outbox"

// sample returns a message with a name and every field that handlers' messages have.
func sample(name string) outbox.Message {
	return outbox.Message{
		Key: "OUT#FACT#live#-#in_1Sample#paid#" + name, Name: name, To: "cus_Sample",
		Fields: map[string]any{
			"object": "invoice", "object_id": "in_1Sample", "account": "", "amount": int64(123456), "currency": "eur", "number": "SAMPLE-0001",
			"subscription": "sub_1Sample", "invoice": "in_1Sample", "charge": "ch_1Sample", "payment_intent": "pi_1Sample",
			"trial_end": int64(1796083200), "next_payment_attempt": int64(1796083200), "evidence_due_by": int64(1796083200),
			"status": "needs_response", "reason": "fraudulent", "fraud_type": "made_with_stolen_card", "inquiry": false,
		},
	}
}
