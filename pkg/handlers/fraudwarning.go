package handlers

import (
	"context"

	"github.com/stripe/stripe-go/v76"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/effect"
)

// keepFraudWarning keeps an early fraud warning. While it is actionable, a refund may still
// avoid a dispute, so it requests a message to the business.
func keepFraudWarning(_ context.Context, e dispatch.Current[stripe.RadarEarlyFraudWarning]) (dispatch.Effects, error) {
	w := &e.Object
	about := aboutCharge(e.Raw, w.Charge, w.PaymentIntent)
	var ms []effect.Message
	if w.Actionable {
		m := effect.Message{
			Subject: dispatch.ObjectKey(e.Envelope), Name: fraudWarning, To: about.customer, Object: "radar.early_fraud_warning",
			ID: w.ID, Since: w.Created, Extra: about.fields(),
		}
		if w.Charge != nil {
			m.Amount, m.Currency = w.Charge.Amount, string(w.Charge.Currency)
		}
		m.Extra["fraud_type"] = string(w.FraudType)
		ms = append(ms, m)
	}
	fields := about.fields()
	fields["fraud_type"], fields["actionable"] = string(w.FraudType), w.Actionable
	row := effect.KeepRow(e, effect.Row{
		Kind: "early_fraud_warning", Customer: about.customer, Created: w.Created, List: about.list(e.Input), Extra: fields,
	}, ms...)
	return effect.WithMessages(e.Input, ms, row), nil
}
