// Command guard runs a server for as long as its own standard input is open. A test holds the other
// end, so that nothing that it started outlives it, however it ends: the kernel closes the pipe.
//
// Usage:
//
//	guard [-pid FILE] -- COMMAND
//	guard [-pid FILE] -isolated [-out PORT]... [-in PORT=PORT]... -- COMMAND
//	guard -remove FOLDER
//
// An isolated command has a network namespace of its own (Linux), so that several can listen on the same
// ports. It has a loopback and nothing else. By -out it reaches a port of this machine's loopback under the
// same number; by -in, the first port of this machine's loopback leads to the second one of its own.
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
	isolated := flag.Bool("isolated", false, "run the command in a network namespace of its own")
	var ways ways
	flag.Func("out", "let the isolated command reach this `port`", func(text string) error {
		return ways.addOut(text)
	})
	flag.Func("in", "lead a port to one of the isolated command's: `PORT=PORT`", func(text string) error {
		return ways.addIn(text)
	})
	flag.Parse()
	// Ctrl-C goes to every process of the terminal. The guard ends with its test, not before.
	signal.Ignore(os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	if *remove != "" {
		waitForEnd()
		os.Exit(removeAll(*remove))
	}
	os.Exit(run(flag.Args(), *pid, *isolated, ways))
}

// way leads from a port that is listened on to another.
type way struct{ from, to uint16 }

// ways lead into and out of a network namespace.
type ways struct{ in, out []way }

func (w *ways) addOut(text string) error {
	port, err := strconv.ParseUint(text, 10, 16)
	w.out = append(w.out, way{uint16(port), uint16(port)})
	return err
}

func (w *ways) addIn(text string) error {
	var one way
	_, err := fmt.Sscanf(text, "%d=%d", &one.from, &one.to)
	w.in = append(w.in, one)
	return err
}

func loopback(port uint16) string {
	return fmt.Sprintf("127.0.0.1:%d", port)
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

func run(command []string, pid string, isolated bool, ways ways) int {
	if len(command) == 0 {
		fmt.Fprintln(os.Stderr, "guard: no command")
		return 2
	}
	// The death of a parent is signalled when the thread ends that made the child.
	runtime.LockOSThread()
	child := exec.Command(command[0], command[1:]...)
	child.Stdout, child.Stderr = os.Stdout, os.Stderr
	child.SysProcAttr = dieWithParent()
	start := child.Start
	switch {
	case isolated && os.Geteuid() != 0:
		// Another guard does all of it where this user is root.
		child.Path, child.Args, child.Stdin, pid = "/proc/self/exe", os.Args, os.Stdin, ""
		asRoot(child)
	case isolated:
		start = func() error { return isolate(child, ways) }
	}
	if err := start(); err != nil {
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
