package lambdahost

import (
	"os/exec"
	"runtime"
)

// spawner starts processes from one OS thread that lives as long as the function: the
// kernel's parent-death signal is bound to the thread that called fork, and Go may end
// its threads.
type spawner struct {
	requests chan spawnRequest
}

type spawnRequest struct {
	cmd    *exec.Cmd
	result chan<- error
}

func newSpawner() *spawner {
	s := &spawner{requests: make(chan spawnRequest)}
	go s.loop()
	return s
}

func (s *spawner) loop() {
	runtime.LockOSThread() // never unlocked: the thread ends with this goroutine
	for r := range s.requests {
		r.result <- r.cmd.Start()
	}
}

// start is [exec.Cmd.Start]. It must not be called after close.
func (s *spawner) start(cmd *exec.Cmd) error {
	result := make(chan error, 1)
	s.requests <- spawnRequest{cmd, result}
	return <-result
}

// close ends the thread and the processes that it started.
func (s *spawner) close() { close(s.requests) }
