package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"syscall"
)

// isolate starts the command in a network namespace of its own, which has nothing but a loopback of its
// own, and carries connections in and out. The kernel removes the namespace with the last process in it:
// there is nothing to clean up, however a test ends.
func isolate(child *exec.Cmd, ways ways) error {
	dials := make(chan dial)
	started := make(chan error)
	go inside(child, ways.out, dials, started)
	if err := <-started; err != nil {
		return err
	}
	for _, way := range ways.in {
		listener, err := net.Listen("tcp", loopback(way.from))
		if err != nil {
			_ = child.Process.Kill()
			return err
		}
		go carryAll(listener, func() (net.Conn, error) {
			answer := make(chan dialled)
			dials <- dial{loopback(way.to), answer}
			result := <-answer
			return result.conn, result.err
		})
	}
	return nil
}

// dial asks the thread that is in the namespace for a connection.
type dial struct {
	address string
	answer  chan<- dialled
}

type dialled struct {
	conn net.Conn
	err  error
}

// inside moves its thread into a new namespace and stays there. A socket is of the namespace of the thread
// that makes it, and a process of that of the thread that starts it.
func inside(child *exec.Cmd, out []way, dials <-chan dial, started chan<- error) {
	// Never unlocked: the thread is of no use to anybody else.
	runtime.LockOSThread()
	err := enter()
	for _, way := range out {
		if err != nil {
			break
		}
		var listener net.Listener
		if listener, err = net.Listen("tcp", loopback(way.from)); err == nil {
			go carryAll(listener, func() (net.Conn, error) { return net.Dial("tcp", loopback(way.to)) })
		}
	}
	if err == nil {
		err = child.Start()
	}
	started <- err
	for dial := range dials {
		conn, err := net.Dial("tcp", dial.address)
		dial.answer <- dialled{conn, err}
	}
}

// enter makes a namespace, and brings its loopback up.
func enter() error {
	if err := syscall.Unshare(syscall.CLONE_NEWNET); err != nil {
		return fmt.Errorf("a network namespace: %w", err)
	}
	socket, err := syscall.Socket(syscall.AF_NETLINK, syscall.SOCK_RAW|syscall.SOCK_CLOEXEC, syscall.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer syscall.Close(socket)
	kernel := &syscall.SockaddrNetlink{Family: syscall.AF_NETLINK}
	if err := syscall.Sendto(socket, loopbackUp(), 0, kernel); err != nil {
		return err
	}
	answer := make([]byte, 4096)
	length, _, err := syscall.Recvfrom(socket, answer, 0)
	if err != nil {
		return err
	}
	messages, err := syscall.ParseNetlinkMessage(answer[:length])
	if err != nil || len(messages) == 0 || messages[0].Header.Type != syscall.NLMSG_ERROR || len(messages[0].Data) < 4 {
		return errors.New("netlink does not answer as it should")
	}
	if code := int32(binary.NativeEndian.Uint32(messages[0].Data)); code != 0 {
		return fmt.Errorf("the loopback of the namespace: %w", syscall.Errno(-code))
	}
	return nil
}

// loopbackUp is the message that `ip link set lo up` sends (rtnetlink(7)).
func loopbackUp() []byte {
	const (
		length = syscall.SizeofNlMsghdr + syscall.SizeofIfInfomsg
		// The loopback is the first interface of every namespace.
		index = 1
	)
	order := binary.NativeEndian
	message := order.AppendUint32(nil, length)
	message = order.AppendUint16(message, syscall.RTM_NEWLINK)
	message = order.AppendUint16(message, syscall.NLM_F_REQUEST|syscall.NLM_F_ACK)
	message = order.AppendUint32(message, 1) // sequence
	message = order.AppendUint32(message, 0) // sender
	message = append(message, syscall.AF_UNSPEC, 0)
	message = order.AppendUint16(message, 0) // type of link
	message = order.AppendUint32(message, index)
	message = order.AppendUint32(message, syscall.IFF_UP) // flags
	return order.AppendUint32(message, syscall.IFF_UP)    // which of them change
}

// carryAll joins each connection that comes in with one that it makes.
func carryAll(listener net.Listener, connect func() (net.Conn, error)) {
	for {
		client, err := listener.Accept()
		if err != nil {
			return
		}
		go func() {
			defer client.Close()
			server, err := connect()
			if err != nil {
				// The connection is open already, so the client sees it break.
				return
			}
			defer server.Close()
			done := make(chan struct{})
			go func() {
				carry(client, server)
				close(done)
			}()
			carry(server, client)
			<-done
		}()
	}
}

// carry copies one direction to its end, which the other side then sees. A direction that breaks ends both.
func carry(from, to net.Conn) {
	if _, err := io.Copy(to, from); err != nil {
		_ = from.Close()
		_ = to.Close()
		return
	}
	_ = to.(*net.TCPConn).CloseWrite()
}

// asRoot has a command run in a user namespace in which the user is root, as far as it needs that to make
// a network namespace.
func asRoot(child *exec.Cmd) {
	attributes := child.SysProcAttr
	attributes.Cloneflags |= syscall.CLONE_NEWUSER
	attributes.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
	attributes.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
}
