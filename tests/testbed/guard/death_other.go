//go:build !linux

package main

import "syscall"

// dieWithParent has no counterpart here; a guard that is killed leaves its child behind.
func dieWithParent() *syscall.SysProcAttr {
	return nil
}
