package lambdahost

import "syscall"

// processAttributes puts the child into its own process group, so that only the host
// gets a Ctrl-C in the terminal. The kernel kills the child when the thread that started
// it ends, so that not even kill -9 of the host leaves it running.
func processAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
