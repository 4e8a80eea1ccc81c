// Package failpoint lets a test kill or pause a real process at a named point of its work.
//
// It does so only in programs built with the tag failpoints. Without the tag every function
// here is empty and Enabled is false. The functions' release bundles do not even import it:
// package run does, in a file with the tag.
//
// A point is armed by an empty file in the folder [Folder] next to the program's file:
// <point>.kill or <point>.stop. The first process at the point renames the file to
// <point>.<action>.<pid> and kills itself, as kill -9 does, or stops until it is continued.
// An arm file works once.
//
//	touch failpoints/consumer.claim.before.kill
//
// [Transport] and [Wire] name the points of a program's calls: caller, call, and before or
// after. At "before" nothing of the call was sent; at "after" its response has arrived and
// the caller has not seen it. Other points are calls of [At].
package failpoint

// Folder is the name of the folder of arm files.
const Folder = "failpoints"

// Kill and Stop are the actions.
const (
	Kill = "kill"
	Stop = "stop"
)
