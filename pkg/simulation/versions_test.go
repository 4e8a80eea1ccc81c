package simulation

import (
	"errors"
	"math/rand/v2"
	"strings"

	"tollgate/pkg/queue"
)

// Two releases may run at once: the next release enqueues messages with a version or source that
// this one does not know, while the consumer is this release or was rolled back to it. Such a
// message waits until the consumer is rolled forward.

// versionShare is n where one in n plans has two releases.
const versionShare = 5

// versionPlan is the part of a plan for releases.
type versionPlan struct {
	on       bool
	produces bool    // ingest starts as the next release
	consumes bool    // the consumer starts as the next release
	roll     float64 // that one of the two is rolled forward or back, at a step
}

func newVersionPlan(rng *rand.Rand) versionPlan {
	return versionPlan{on: true, produces: rng.IntN(4) > 0, consumes: rng.IntN(2) == 0, roll: 0.05 * rng.Float64()}
}

// roll changes the release of one side.
func (sc *scenario) roll() {
	v := &sc.plan.versions
	if sc.rng.IntN(2) == 0 {
		v.produces = !v.produces
	} else {
		v.consumes = !v.consumes
	}
	sc.log("the next release produces: %v, consumes: %v", v.produces, v.consumes)
	sc.count("a roll of a release")
}

// newerForms are this release's form of a message and the next release's.
func newerForms() [][2]string {
	return [][2]string{{`{"v":1,`, `{"v":2,`}, {`"src":"webhook"`, `"src":"portal"`}}
}

// produced returns a message as ingest's current release encodes it.
func (sc *scenario) produced(body string) string {
	if !sc.plan.versions.on || !sc.plan.versions.produces || !strings.Contains(body, `"src":"webhook"`) {
		return body
	}
	sc.count("a message of the next release")
	form := newerForms()[sc.rng.IntN(2)]
	return strings.Replace(body, form[0], form[1], 1)
}

// consumed returns a message as the consumer's current release reads it.
func (sc *scenario) consumed(body string) string { return readBy(sc.plan.versions.consumes, body) }

// readBy returns a message as a release reads it.
func readBy(next bool, body string) string {
	if !next {
		return body
	}
	for _, form := range newerForms() {
		body = strings.Replace(body, form[1], form[0], 1)
	}
	return body
}

// original returns the body of a message as it was sent.
func (sc *scenario) original(m queue.Message) string {
	if sent := sc.queue.find(m.ID); sent != nil {
		return sent.body
	}
	return m.Body
}

// isNewer reports whether only the next release can read a message.
func isNewer(body string) bool {
	_, err := queue.Decode(body)
	return errors.Is(err, queue.ErrNewer)
}

// checkWaits: a message of the next release costs one receive an hour.
func (sc *scenario) checkWaits(p *proc) {
	for _, t := range p.batch {
		m := sc.queue.find(t.id)
		if t.newer && t.receives < sc.limits.MaxReceives && !p.troubled && !p.halted && m != nil && m.receipt() == t.receipt && m.changed < p.started && m.visible.Before(p.began.Add(sc.limits.BackoffCap)) {
			sc.violate("%s: a message of the next release is hidden until %v only", t.f.id, m.visible)
		}
	}
}
