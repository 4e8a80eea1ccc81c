package sending

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"tollgate/pkg/delivery"
	"tollgate/pkg/local/aws/dynamodb/value"
)

// maxSkew is how far a sender's clock is off, either way: two clocks differ by less than the margin
// of a take-over.
const maxSkew = 2 * time.Second

// stateLag is how long after it was written a destination's old state may still be acted on: the cache,
// and an attempt that waited for its turn.
const stateLag = 10*time.Second + time.Minute

func millisOf(it value.Item, name string) time.Time {
	if _, ok := it[name]; !ok {
		return time.Time{}
	}
	return time.UnixMilli(num(it, name))
}

func num(it value.Item, name string) int64 {
	v, ok := it[name]
	if !ok {
		return 0
	}
	n, err := strconv.ParseInt(v.Num.String(), 10, 64)
	if err != nil {
		panic(err)
	}
	return n
}

// written checks each write of a delivery's row.
func (w *world) written(p *proc, key string, old, fresh value.Item) {
	if !strings.HasPrefix(key, "DLV#") || p.name == "operator" {
		return
	}
	before, state := delivery.Status(old["st"].Text), delivery.Status(fresh["st"].Text)
	now, att := time.Now(), num(fresh, "att")
	begins := fresh["own"].Text != old["own"].Text
	switch {
	case before == delivery.Delivered:
		w.violate("%s: delivered, and left for %s by attempt %d", key, state, att)
	case begins && (state != delivery.Running || att != num(old, "att")+1):
		w.violate("%s: the attempt goes from %d to %d, %s", key, num(old, "att"), att, state)
	case begins && before == delivery.Running && now.Before(millisOf(old, "lease").Add(-w.skews[old["own"].Text])):
		w.violate("%s: attempt %d takes over %v before the end of the lease", key, att, millisOf(old, "lease").Sub(now))
	case begins && before == delivery.Waiting && now.Before(millisOf(old, "next").Add(-2*maxSkew)):
		w.violate("%s: attempt %d begins %v early", key, att, millisOf(old, "next").Sub(now))
	case begins && (before == delivery.Failed || before == delivery.Disabled):
		w.violate("%s: attempt %d of a delivery that is %s", key, att, before)
	case !begins && (before != delivery.Running || att != num(old, "att")):
		w.violate("%s: an attempt that was overtaken writes %s over %s", key, state, before)
	case old["seq"].Type != "" && !value.Equal(old["seq"], fresh["seq"]):
		w.violate("%s: its number changes", key)
	case len(fresh["hist"].List) > delivery.MaxHistory:
		w.violate("%s: %d attempts in its history", key, len(fresh["hist"].List))
	}
	if begins {
		w.skews[fresh["own"].Text] = p.skew
	}
	if begins && before == delivery.Running {
		w.count("take-over")
	}
	if _, leased := fresh["lease"]; leased != (state == delivery.Running) {
		w.violate("%s: %s and lease: %v", key, state, leased)
	}
	w.count("row: " + string(state))
}

// begun checks the begin of a send: under its own lease, with the message's id and number.
func (w *world) begun(p *proc, r *receiver, d delivery.Delivery) {
	key := "DLV#" + d.Message.Key + "#" + r.name
	row := w.table.items[key]
	now := time.Now()
	w.count("send")
	w.log("process %d (%s): sends %s to %s, attempt %d", p.id, p.name, d.Message.Key, r.name, d.Attempt)
	switch {
	case num(row, "att") != int64(d.Attempt):
		w.violate("%s: the send of attempt %d begins while attempt %d has the lease", key, d.Attempt, num(row, "att"))
	case row["st"].Text != string(delivery.Running):
		w.violate("%s: the send of attempt %d begins, and the row is %s", key, d.Attempt, row["st"].Text)
	case now.Add(p.skew + w.all[r.name].Timeout).After(millisOf(row, "lease")):
		w.violate("%s: the send of attempt %d may end after its lease", key, d.Attempt)
	case d.ID != delivery.ID(d.Message.Key) || r.ids[d.Message.Key] != "" && r.ids[d.Message.Key] != d.ID:
		w.violate("%s: its id changes to %s", key, d.ID)
	case d.Sequence < 1 || r.seqs[d.Message.Key] > 0 && r.seqs[d.Message.Key] != d.Sequence:
		w.violate("%s: its number changes from %d to %d", key, r.seqs[d.Message.Key], d.Sequence)
	}
	r.ids[d.Message.Key], r.seqs[d.Message.Key] = d.ID, d.Sequence
	object := fmt.Sprint(r.name, " ", d.Message.Fields["object_id"], " ", d.Sequence)
	if of := w.numbers[object]; of != "" && of != d.Message.Key {
		w.violate("%s: its number %d is that of %s", key, d.Sequence, of)
	}
	w.numbers[object] = d.Message.Key
	if off := millisOf(w.table.items["DST#"+r.name], "off"); !off.IsZero() && now.After(off.Add(stateLag)) {
		w.violate("%s: sent %v after its destination was disabled", key, now.Sub(off))
	}
}

// acknowledged checks that a job is not the last trace of a delivery that is not done.
func (w *world) acknowledged(p *proc, j *job) {
	of, err := delivery.DecodeJob(j.body)
	if err != nil {
		panic(err)
	}
	done := w.table.items["DLV#"+of.Message+"#"+of.Destination]["st"].Text == string(delivery.Delivered)
	if done {
		if w.receivers[of.Destination].got[of.Message] == 0 {
			w.violate("%s for %s is done, and was never accepted", of.Message, of.Destination)
		}
		return
	}
	if slices.Contains(w.dead, j.body) {
		return
	}
	for _, other := range w.queue.messages {
		if other != j && other.body == j.body {
			return
		}
	}
	w.violate("%s for %s is acknowledged, not done, and no copy is in the dead-letter queue", of.Message, of.Destination)
}

// checkRest: with nothing left to happen, each message was accepted by each destination that takes
// it, or a dead letter has it.
func (w *world) checkRest(end bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.queue.messages) > 0 {
		w.violate("%d jobs are left in the queue", len(w.queue.messages))
	}
	for _, m := range w.messages {
		if w.table.items[m.Key]["sent_at"].Type == "" {
			w.violate("%s was never handed over", m.Key)
		}
		for _, d := range w.all.Matching(m.Name, m.Live(), "") {
			job := delivery.Job{Message: m.Key, Destination: d.Name}
			switch n := w.receivers[d.Name].got[m.Key]; {
			case n > 1:
				w.count("accepted more than once")
			case n == 0 && (end || !slices.Contains(w.dead, job.Encode())):
				w.violate("%s is lost for %s", m.Key, d.Name)
			}
			if end && w.table.items["DLV#"+m.Key+"#"+d.Name]["st"].Text != string(delivery.Delivered) {
				w.violate("%s for %s is not done at the end", m.Key, d.Name)
			}
		}
	}
}
