package conformance

import (
	"os/exec"
	"syscall"
)

// dieWithParent makes the kernel end the child if the test binary is killed.
func dieWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
