// Command tollgate runs the local system and operates a deployed one.
//
// Every verb prints a table for people or, with --json, one object (one per line for
// lists) on stdout; progress and errors go to stderr. Exit code 0 means done, 1 failed,
// 2 wrong use.
package main

import (
	"tollgate/pkg/cmd/tollgate/console"
	"tollgate/pkg/cmd/tollgate/dev"
	"tollgate/pkg/cmd/tollgate/verb"
)

// version is the release, which make writes with the linker.
var version = "dev"

func main() {
	verb.Main(&cli{Globals: verb.Globals{Release: version}, Dev: dev.Dev{OpenConsole: console.OpenLocal}})
}
