package main

import "syscall"

// dieWithParent has the kernel end the child even where the guard itself is killed.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
