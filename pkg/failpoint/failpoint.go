// Package failpoint lets a test end or pause a real process at a named point of its work.
//
// It does so only in programs built with the tag failpoints. Without the tag every
// function here is empty and Enabled is false, so that nothing of it is left in a build;
// the functions' release bundles do not even import it: package run does, in a file with the tag.
//
// A point is armed by a ticket, an empty file in the folder [Folder] beside the program's
// own file: <point>.kill or <point>.stop. The first process that comes to the point takes
// the ticket, which then is called <point>.<action>.<pid>, and kills itself as kill -9
// does, or stands still as a whole until somebody continues it. One ticket serves once.
//
//	touch failpoints/consumer.claim.before.kill
//
// The points of a program's calls are named by [Transport] and [Wire]: who calls, what,
// and before or after. "Before" is when nothing of the call was sent, "after" when its
// answer is there and the caller has not seen it. All others stand in the code as [At].
package failpoint

// Folder is the name of the folder of tickets.
const Folder = "failpoints"

// Kill and Stop are what a ticket can ask for.
const (
	Kill = "kill"
	Stop = "stop"
)
