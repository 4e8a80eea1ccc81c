package verb

import (
	"context"
	"log/slog"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"tollgate/pkg/dynamostore"
	"tollgate/pkg/handlers"
	"tollgate/pkg/pause"
	"tollgate/pkg/reconcile"
	"tollgate/pkg/sqsqueue"
	"tollgate/pkg/stripeapi"
)

// Reconciler has the same parts as the reconcile function. accounts have their endpoints.
func (a *App) Reconciler(ctx context.Context, t Target, accounts map[string]string) (*reconcile.Reconciler, error) {
	o, err := a.StripeOptions(ctx, t)
	if err != nil {
		return nil, err
	}
	stripe, err := stripeapi.New(o.Patient())
	if err != nil {
		return nil, err
	}
	store, err := dynamostore.New(dynamodb.NewFromConfig(t.AWS), t.Table, dynamostore.Options{Limits: t.Limits()})
	if err != nil {
		return nil, err
	}
	policies, err := t.Policies(ctx)
	if err != nil {
		return nil, Hint(err, "the endpoint's policy must be known, as nothing that it excludes is sent: give the credentials lambda:GetFunctionConfiguration on the consumer function")
	}
	queue := sqsqueue.New(sqs.NewFromConfig(t.AWS), t.QueueURL, "", t.Limits())
	return reconcile.New(reconcile.Config{
		Lister: stripe, Records: store, Coverage: store, Begins: store, Depth: queue, Sender: queue,
		Pause: pause.NewCache(store.Pauses, t.Limits(), nil),
		Types: handlers.Types(), Accounts: accounts, Policies: policies, Limits: t.Limits(),
		Logger: slog.New(slog.NewTextHandler(a.Err, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
}
