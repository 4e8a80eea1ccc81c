package ledger_test

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"tollgate/pkg/dynamostore"
	"tollgate/pkg/ledger"
)

// A web application guards a page with the entitlement to a product.
func ExampleEntitled() {
	cfg := aws.Config{Region: "eu-central-1"} // in an application: config.LoadDefaultConfig(ctx)
	reader, err := dynamostore.NewReader(dynamodb.NewFromConfig(cfg), "name-of-the-stack-s-table")
	if err != nil {
		panic(err)
	}
	http.HandleFunc("/reports", func(w http.ResponseWriter, r *http.Request) {
		who := ledger.Who{Mode: "live", Customer: customerOf(r)}
		entitled, _, err := ledger.Entitled(r.Context(), reader, who, "prod_reports", time.Now())
		switch {
		case err != nil: // nothing is known: not a reason to refuse a customer who pays
			http.Error(w, "try again", http.StatusServiceUnavailable)
		case !entitled:
			http.Redirect(w, r, "/pricing", http.StatusSeeOther)
		default:
			fmt.Fprintln(w, "reports")
		}
	})
}

// customerOf is the application's: the Stripe customer of who is logged in.
func customerOf(r *http.Request) string { return r.Header.Get("X-Customer") }

// The entitlements show why. This application serves no one whose payments are paused with
// void, and warns who is past due.
func ExampleEntitled_pause() {
	month := int64(1_797_638_460)
	items := table{items: []map[string]any{
		{"pk": "ENT#test#-#sub_1", "lst": "CUS#test#-#cus_1", "kind": "entitlement", "subscription": "sub_1", "status": "past_due", "active": true,
			"products": []any{"prod_reports"}, "until": month},
		{"pk": "ENT#test#-#sub_2", "lst": "CUS#test#-#cus_2", "kind": "entitlement", "subscription": "sub_2", "status": "active", "active": true,
			"products": []any{"prod_reports"}, "until": month, "pause_collection": map[string]any{"behavior": "void", "resumes_at": month}},
	}}
	now := time.Unix(month, 0).Add(-time.Hour)
	for _, customer := range []string{"cus_1", "cus_2", "cus_3"} {
		_, by, err := ledger.Entitled(context.Background(), items, ledger.Who{Mode: "test", Customer: customer}, "prod_reports", now)
		if err != nil {
			panic(err)
		}
		answer := "no"
		for _, e := range by {
			paused := e.PauseCollection != nil && e.PauseCollection.Behavior == "void" &&
				(e.PauseCollection.ResumesAt == 0 || now.Before(time.Unix(e.PauseCollection.ResumesAt, 0)))
			switch {
			case paused && answer == "no":
				answer = "paused"
			case !paused:
				answer = "yes, " + e.Status
			}
		}
		fmt.Println(customer, answer)
	}
	// Output:
	// cus_1 yes, past_due
	// cus_2 paused
	// cus_3 no
}
