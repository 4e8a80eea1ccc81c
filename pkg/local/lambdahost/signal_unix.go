//go:build unix

package lambdahost

import (
	"os"
	"syscall"
)

// terminate asks the process's group to end; kill ends it.
func terminate(p *os.Process) { signalGroup(p, syscall.SIGTERM) }
func kill(p *os.Process)      { signalGroup(p, syscall.SIGKILL) }

// signalGroup also reaches the function's children. An error means that they have ended.
func signalGroup(p *os.Process, sig syscall.Signal) {
	if syscall.Kill(-p.Pid, sig) != nil {
		p.Signal(sig)
	}
}
