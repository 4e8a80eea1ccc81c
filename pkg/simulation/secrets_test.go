package simulation

import (
	"context"
	"encoding/json"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"tollgate/pkg/ingest"
	"tollgate/pkg/secrets"
)

// Ingest fetches the webhook secret from a Secrets Manager that fails and in which operators store
// unusable values. A process that knows an endpoint's secret keeps it.

// secretShare is n where one in n plans has such a Secrets Manager; in the others the secret is
// always known.
const secretShare = 3

// secretPlan is the part of a plan for the webhook secret.
type secretPlan struct {
	on  bool
	bad float64 // that an operator stores another value, at a step
}

func newSecretPlan(rng *rand.Rand) secretPlan { return secretPlan{on: true, bad: 0.1 * rng.Float64()} }

// secretForms are stored values of an endpoint; the first usableForms are usable.
func secretForms() []string {
	return []string{
		`["", "` + secret + `"]`, `"` + secret + `"`, `["` + secret + `\n"]`,
		`[]`, `null`, `["sk_live_1"]`, `7`, `"no secret"`, `{}`,
	}
}

const usableForms = 3

// stored is the webhook secret: an index of secretForms by endpoint.
type stored struct {
	forms   map[string]int
	garbled bool // the whole value is not JSON
}

func (s stored) value() *string {
	all := map[string]json.RawMessage{}
	for endpoint, form := range s.forms {
		all[endpoint] = json.RawMessage(secretForms()[form])
	}
	raw, err := json.Marshal(all)
	if err != nil {
		panic(err)
	}
	if s.garbled {
		raw = raw[:len(raw)-1]
	}
	return aws.String(string(raw))
}

func (s stored) usable(endpoint string) bool { return !s.garbled && s.forms[endpoint] < usableForms }

// storeSecret stores a good secret for each endpoint.
func (sc *scenario) storeSecret() {
	sc.secret = stored{forms: map[string]int{}}
	for _, endpoint := range sc.plan.policies.endpoints() {
		sc.secret.forms[endpoint] = 0
	}
}

// spoilSecret stores another value, usable or not.
func (sc *scenario) spoilSecret() {
	next := stored{forms: maps.Clone(sc.secret.forms)}
	endpoint := sc.plan.policies.endpoints()[sc.rng.IntN(len(next.forms))]
	next.forms[endpoint] = sc.rng.IntN(len(secretForms()))
	next.garbled = sc.rng.IntN(8) == 0
	sc.secret = next
	sc.log("the webhook secret is now %s", *next.value())
	sc.count("secret: " + secretForms()[next.forms[endpoint]])
}

// environment is one process of ingest, which handles one request at a time.
type environment struct {
	sc      *scenario
	handler *ingest.Handler
	busy    bool
	fetches int
	knows   map[string]bool // endpoints whose secret it has fetched
	unsure  map[string]bool // endpoints for which it has fetched an unusable value
}

// freeEnvironment returns an idle environment or starts one.
func (sc *scenario) freeEnvironment() *environment {
	for _, e := range sc.environments {
		if !e.busy {
			return e
		}
	}
	e := &environment{sc: sc, knows: map[string]bool{}, unsure: map[string]bool{}}
	var known ingest.Secrets = knownSecret{}
	if sc.plan.secrets.on {
		fetched, err := secrets.NewWebhook(secrets.Config{API: e, ID: "webhook", Limits: sc.limits})
		if err != nil {
			panic(err)
		}
		known = fetched
		sc.count("ingest starts")
	}
	var err error
	if e.handler, err = ingest.New(ingest.Config{Secrets: known, Sender: sender{sc}, Limits: sc.limits}); err != nil {
		panic(err)
	}
	sc.environments = append(sc.environments, e)
	return e
}

// handle answers a request in process p.
func (e *environment) handle(p *proc, r ingest.Request, answer func(ingest.Answer, error)) {
	if e.busy = e.sc.plan.secrets.on; e.busy {
		over := p.over
		p.over = func() {
			e.busy = false
			if p.dead {
				e.sc.environments = slices.DeleteFunc(e.sc.environments, func(o *environment) bool { return o == e })
			}
			if over != nil {
				over()
			}
		}
	}
	e.sc.spawn(p, func(ctx context.Context) { answer(e.handler.Handle(ctx, r)) })
}

// secretSubject is the subject of fetches.
const secretSubject = "the webhook secret"

// GetSecretValue implements secrets.API.
func (e *environment) GetSecretValue(ctx context.Context, _ *secretsmanager.GetSecretValueInput, _ ...func(*secretsmanager.Options)) (*secretsmanager.GetSecretValueOutput, error) {
	e.fetches++
	var got stored
	err := e.sc.clients.secrets.do(e.sc, ctx, opSecretGet, secretSubject, func() error {
		got = e.sc.secret
		return nil
	})
	if err != nil {
		return nil, err
	}
	for endpoint := range got.forms {
		if got.usable(endpoint) {
			e.knows[endpoint] = true
		} else {
			e.unsure[endpoint] = true
		}
	}
	return &secretsmanager.GetSecretValueOutput{SecretString: got.value()}, nil
}

// checkDelivery: one fault or a brief refusal fails no delivery, and an unusable value replaces no
// known secret.
func (sc *scenario) checkDelivery(p *proc, e *environment, d *delivery, status int) {
	sends, fetches := p.faults[d.f.id], p.faults[secretSubject]
	if status == 200 && p.refused > 0 {
		sc.count("a delivery outlasts a refusing queue")
	}
	if status == 200 && fetches == 1 {
		sc.count("a delivery outlasts a failed fetch of secrets")
	}
	switch knows := !sc.plan.secrets.on || e.knows[d.endpoint]; {
	case status == 200, p.halted:
	case status != 500:
		sc.violate("%s: a signed delivery is answered %d", d.f.id, status)
	case !knows && (fetches > 1 || e.unsure[d.endpoint]):
	case sends > 1, sends == 1 && p.refused > 0:
	default:
		sc.violate("%s: a delivery is not taken after %d faults of sends, %d refusals for a moment and %d failed fetches of secrets", d.f.id, sends, p.refused, fetches)
	}
}

// checkAttack: a missing, malformed or stale header is refused before secrets are fetched.
func (sc *scenario) checkAttack(p *proc, e *environment, header string, fresh bool, before int, answer ingest.Answer, err error) {
	endpoint := sc.plan.policies.endpoints()[0]
	switch {
	case p.halted && fresh: // it may be too old by now
	case answer.Status == 200, err != nil && (!fresh || !sc.plan.secrets.on || e.knows[endpoint]):
		sc.violate("a request signed %.60q is answered %d, %v", header, answer.Status, err)
	case !fresh && e.fetches > before:
		sc.violate("a request signed %.60q makes ingest ask for secrets", header)
	case err != nil && !strings.Contains(err.Error(), "secret"):
		sc.violate("a request signed %.60q: %v", header, err)
	}
}
