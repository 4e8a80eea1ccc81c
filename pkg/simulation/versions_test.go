package simulation

import (
	"errors"
	"math/rand/v2"
	"strings"

	"tollgate/pkg/queue"
)

// Two releases run side by side for a while: the next release may put events on the queue,
// whose messages have another version or a source that this one does not know, while the
// consumer is of this release, or was rolled back to it. Such a message waits for the
// consumer's roll-forward; the next release reads it as this one would.

// versionShare: one plan in so many has two releases.
const versionShare = 5

// versionPlan is the part of a plan that is about releases.
type versionPlan struct {
	on       bool
	produces bool    // the next release puts events on the queue at first
	consumes bool    // and takes them
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

// newerForms are what the next release changes in a message, and what that means here.
func newerForms() [][2]string {
	return [][2]string{{`{"v":1,`, `{"v":2,`}, {`"src":"webhook"`, `"src":"portal"`}}
}

// produced is a message as the release puts it on the queue that produces now.
func (sc *scenario) produced(body string) string {
	if !sc.plan.versions.on || !sc.plan.versions.produces || !strings.Contains(body, `"src":"webhook"`) {
		return body
	}
	sc.count("a message of the next release")
	form := newerForms()[sc.rng.IntN(2)]
	return strings.Replace(body, form[0], form[1], 1)
}

// consumed is a message as the release that consumes now reads it.
func (sc *scenario) consumed(body string) string { return readBy(sc.plan.versions.consumes, body) }

// readBy is a message as a process reads it, which keeps the release of its start.
func readBy(next bool, body string) string {
	if !next {
		return body
	}
	for _, form := range newerForms() {
		body = strings.Replace(body, form[1], form[0], 1)
	}
	return body
}

// original is the body of a message as it was sent, whatever its consumer was shown.
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

// checkWaits: a message that a consumer cannot read yet costs a receive an hour.
func (sc *scenario) checkWaits(p *proc) {
	for _, t := range p.batch {
		m := sc.queue.find(t.id)
		if t.newer && t.receives < sc.limits.MaxReceives && !p.troubled && !p.halted && m != nil && m.receipt() == t.receipt && m.changed < p.started && m.visible.Before(p.began.Add(sc.limits.BackoffCap)) {
			sc.violate("%s: a message of the next release is hidden until %v only", t.f.id, m.visible)
		}
	}
}
