// Command guard runs a server for as long as its own standard input is open. A test holds the other
// end, so that nothing that it started outlives it, however it ends: the kernel closes the pipe.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strconv"
	"syscall"
	"time"
)

func main() {
	remove := flag.String("remove", "", "a folder to remove at the end, in place of a command")
	pid := flag.String("pid", "", "a file for the process id of the command")
	flag.Parse()
	// Ctrl-C goes to every process of the terminal. The guard ends with its test, not before.
	signal.Ignore(os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	if *remove != "" {
		waitForEnd()
		os.Exit(removeAll(*remove))
	}
	os.Exit(run(flag.Args(), *pid))
}

// waitForEnd returns when the other end of standard input is closed.
func waitForEnd() {
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// removeAll tries for some seconds, because servers that are being ended write to their folders.
func removeAll(folder string) int {
	for range 100 {
		if os.RemoveAll(folder) == nil {
			time.Sleep(200 * time.Millisecond)
			if _, err := os.Stat(folder); errors.Is(err, os.ErrNotExist) {
				return 0
			}
		}
		time.Sleep(100 * time.Millisecond)
	}
	return 1
}

func run(command []string, pid string) int {
	if len(command) == 0 {
		fmt.Fprintln(os.Stderr, "guard: no command")
		return 2
	}
	// The death of a parent is signalled when the thread ends that made the child.
	runtime.LockOSThread()
	child := exec.Command(command[0], command[1:]...)
	child.Stdout, child.Stderr = os.Stdout, os.Stderr
	child.SysProcAttr = dieWithParent()
	if err := child.Start(); err != nil {
		fmt.Fprintln(os.Stderr, "guard:", err)
		return 2
	}
	if pid != "" {
		if err := os.WriteFile(pid, []byte(strconv.Itoa(child.Process.Pid)), 0o600); err != nil {
			fmt.Fprintln(os.Stderr, "guard:", err)
		}
	}
	go func() {
		waitForEnd()
		_ = child.Process.Kill()
	}()
	_ = child.Wait()
	if code := child.ProcessState.ExitCode(); code >= 0 {
		return code
	}
	return 1
}
