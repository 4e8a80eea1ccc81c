package simulation

import (
	"fmt"
	"regexp"
	"strings"
)

// Events of an organisation name their account in context. The release before this one ignored
// it: its ingest made messages without an account, whose events are recorded under none. Ingest
// is upgraded and rolled back while messages, records and Stripe's retries of both are about.

// named returns the account of an event of an account, and the member that names it. The
// context of one in six names an organisation only.
func (sc *scenario) named(account string) (is, member string) {
	switch {
	case account == "":
		return "", ""
	case !sc.plan.policies.contexts:
		return account, fmt.Sprintf(`"account":%q,`, account)
	case sc.rng.IntN(6) == 0:
		return "org_1", `"context":"org_1",`
	}
	context := []string{"", "org_1/", "org_1/acct_0/"}[sc.rng.IntN(3)] + account
	return account, fmt.Sprintf(`"context":%q,`, context)
}

// unknown reports whether the event's account cannot be told.
func (f *fact) unknown() bool { return f.env.Account == "org_1" }

// upgrade changes ingest's release.
func (sc *scenario) upgrade() {
	p := &sc.plan.policies
	p.older = !p.older
	sc.log("ingest ignores context: %v", p.older)
	sc.count("ingest is upgraded or rolled back")
}

// unnamed returns a webhook's message as ingest's current release encodes it.
func (sc *scenario) unnamed(body string) string {
	if !sc.plan.policies.older || !strings.Contains(body, `"src":"webhook"`) {
		return body
	}
	sc.count("a message without the account of its context")
	return regexp.MustCompile(`"account":"[^"]*","context":true,`).ReplaceAllString(body, "")
}
