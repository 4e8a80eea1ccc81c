//go:build !unix

package lambdahost

import (
	"os"
	"syscall"
)

// processAttributes are the system's defaults where there are no process groups.
func processAttributes() *syscall.SysProcAttr { return nil }

// terminate and kill are the same where a process cannot be asked to end.
func terminate(p *os.Process) { p.Kill() }
func kill(p *os.Process)      { p.Kill() }
