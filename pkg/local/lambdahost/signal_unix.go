//go:build unix

package lambdahost

import (
	"os"
	"syscall"
)

// terminate asks the process's group to end; kill ends it.
func terminate(p *os.Process) { signalGroup(p, syscall.SIGTERM) }
func kill(p *os.Process)      { signalGroup(p, syscall.SIGKILL) }

// signalGroup also reaches what the function started itself. An error means that it is gone already.
func signalGroup(p *os.Process, sig syscall.Signal) {
	if syscall.Kill(-p.Pid, sig) != nil {
		p.Signal(sig)
	}
}
