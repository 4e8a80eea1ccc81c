//go:build unix

package crash

import "slices"

// point is a failpoint at which a process is killed or paused.
type point struct {
	name   string
	who    role
	action string   // failpoint.Kill or failpoint.Stop
	load   []string // handlers of the load's events
	small  bool     // part of the short run
	dead   int      // dead letters made before the first kill
	fresh  bool     // only a new process's first request reaches it
	sends  bool     // the system sends events on, and delivers each
	gone   bool     // the receiver refuses some for good
}

// role is the kind of process at a point, which decides how it is restarted.
type role int

const (
	function role = iota // the host starts another
	host                 // the test starts the system again
	command              // the test runs the command again
)

// Loads that reach the points. "works" and "takes_time" complete with an effect, "unhandled" has no
// handler and completes at once without, "writes_nothing" completes a claim without, "fails_twice"
// records two failures and sets a visibility timeout, "refuses_first" becomes a dead letter. Those
// that begin with "pure" do so without a claim at first.
func everyday() []string {
	return []string{"works", "takes_time", "unhandled", "fails_twice", "pure", "takes_time", "writes_nothing", "pure_fails_first"}
}
func withDead() []string {
	return []string{"works", "refuses_first", "fails_twice", "pure_refuses_first", "takes_time"}
}

// atOnce are the writes of runs without a claim.
func atOnce() []string {
	return []string{"consumer.done_at_once", "consumer.done_at_once_with_effects", "consumer.failed_at_once"}
}

// killPoints is every point at which a process is killed.
func killPoints() (all []point) {
	add := func(who role, load []string, names ...string) {
		for _, name := range names {
			all = append(all, point{name: name, who: who, action: "kill", load: load})
		}
	}
	both := func(who role, load []string, calls ...string) {
		for _, call := range calls {
			add(who, load, call+".before", call+".after")
		}
	}
	both(function, everyday(), "ingest.GetSecretValue", "ingest.SendMessage", "ingest.response")
	for i := range 2 {
		all[i].fresh = true // it fetches the secrets
	}
	add(function, everyday(), "ingest.next.after", "consumer.next.after")
	both(function, everyday(),
		"consumer.claim", "consumer.handler", "consumer.complete", "consumer.complete_with_effects", "consumer.fail",
		"consumer.ChangeMessageVisibility", "consumer.DeleteMessageBatch", "consumer.response")
	both(function, everyday(), atOnce()...)
	both(function, withDead(), "consumer.SendMessage")
	both(command, everyday(), "command.SendMessageBatch", "command.DeleteMessageBatch")
	both(host, everyday(),
		"host.ReceiveMessage", "host.DeleteMessageBatch", "host.ingest", "host.consumer",
		"sqs.commit", "dynamodb.commit")
	all = append(all, sendingPoints("kill")...)
	for i := range all {
		if all[i].who == command {
			// A run that is killed late has moved ten. No more are made during the round: a run reads
			// all before it sends the first.
			all[i].dead = 320
		}
	}
	small := []string{"ingest.SendMessage.after", "consumer.complete_with_effects.after", "consumer.done_at_once_with_effects.after", "consumer.SendMessage.after", "dynamodb.commit.after", "consumer.handover.before", "sender.send.after"}
	for i := range all {
		all[i].small = slices.Contains(small, all[i].name)
	}
	return all
}

// pausePoints is every point at which a consumer is paused until its lease has expired and another
// attempt may have taken over.
func pausePoints() (all []point) {
	for _, call := range append(atOnce(),
		"consumer.claim", "consumer.handler", "consumer.complete", "consumer.complete_with_effects", "consumer.fail",
		"consumer.ChangeMessageVisibility", "consumer.response",
	) {
		for _, when := range []string{".before", ".after"} {
			all = append(all, point{
				name: call + when, who: function, action: "stop", load: everyday(), small: call+when == "consumer.handler.after",
			})
		}
	}
	for _, when := range []string{".before", ".after"} {
		all = append(all, point{name: "consumer.SendMessage" + when, who: function, action: "stop", load: withDead()})
	}
	return append(all, sendingPoints("stop")...)
}
