package dynamodb

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

func (s *server) setTTL(attribute string, enabled bool) error {
	_, err := s.UpdateTimeToLive(context.Background(), &sdk.UpdateTimeToLiveInput{TableName: aws.String("things"),
		TimeToLiveSpecification: &types.TimeToLiveSpecification{AttributeName: &attribute, Enabled: &enabled}})
	return err
}

// Expired items are readable until the delay is over; then a sweep takes them,
// their index entries too.
func TestItemsExpireLate(t *testing.T) {
	t.Parallel()
	c := newClock()
	s := newServer(t, Options{Now: c.Now})
	s.table("things", "pk", "", gsi("list", "g", ""))
	exp := func(d time.Duration) av { return num(strconv.FormatInt(c.now.Add(d).Unix(), 10)) }
	s.put("things", attrs{"pk": str("before"), "exp": exp(time.Minute), "g": str("g")}) // before it is enabled
	check(t, s.setTTL("exp", true))
	s.put("things", attrs{"pk": str("soon"), "exp": exp(time.Minute), "g": str("g")})
	s.put("things", attrs{"pk": str("later"), "exp": exp(time.Hour)})
	s.put("things", attrs{"pk": str("text"), "exp": str("1")})
	s.put("things", attrs{"pk": str("never")})
	s.put("things", attrs{"pk": str("ages ago"), "exp": exp(-forgottenExpiry - time.Hour)})
	s.put("things", attrs{"pk": str("extended"), "exp": exp(time.Minute)})
	s.put("things", attrs{"pk": str("extended"), "exp": exp(24 * time.Hour)})

	left := func(want ...string) {
		t.Helper()
		check(t, s.db.sweep())
		out, err := s.Scan(context.Background(), &sdk.ScanInput{TableName: aws.String("things")})
		check(t, err)
		found := map[string]bool{}
		for _, id := range ids(out.Items, "pk") {
			found[id] = true
		}
		for _, id := range want {
			if !found[id] {
				t.Errorf("item %q is gone", id)
			}
		}
		if len(found) != len(want) {
			t.Errorf("items %v, want %v", found, want)
		}
	}
	left("before", "soon", "later", "text", "never", "ages ago", "extended")
	c.add(expiryDelay)
	left("before", "soon", "later", "text", "never", "ages ago", "extended")
	c.add(time.Minute)
	left("later", "text", "never", "ages ago", "extended")
	c.add(time.Hour)
	left("text", "never", "ages ago", "extended")
	out, err := s.Scan(context.Background(), &sdk.ScanInput{TableName: aws.String("things"), IndexName: aws.String("list")})
	if err != nil || out.Count != 0 {
		t.Errorf("index entries of expired items: %d, %v", out.Count, err)
	}
	s.reopen()
	c.add(24 * time.Hour)
	left("text", "never", "ages ago")
}

func TestTimeToLiveSettings(t *testing.T) {
	t.Parallel()
	s := newServer(t, Options{})
	s.table("things", "pk", "")
	status := func(want string) {
		t.Helper()
		out, err := s.DescribeTimeToLive(context.Background(), &sdk.DescribeTimeToLiveInput{TableName: aws.String("things")})
		check(t, err)
		d := out.TimeToLiveDescription
		if got := string(d.TimeToLiveStatus) + " " + aws.ToString(d.AttributeName); got != want {
			t.Errorf("status %q, want %q", got, want)
		}
	}
	wantError(t, s.setTTL("exp", false), "ValidationException: TimeToLive is already disabled")
	wantError(t, s.setTTL("exp", true), "")
	status("ENABLED exp")
	wantError(t, s.setTTL("exp", true), "ValidationException: TimeToLive is already enabled")
	wantError(t, s.setTTL("other", true), "ValidationException: TimeToLive is active on a different AttributeName: current AttributeName is exp")
	s.reopen()
	status("ENABLED exp")
	wantError(t, s.setTTL("exp", false), "")
	status("DISABLED ")
}
