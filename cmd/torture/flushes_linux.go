package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/postrider/postrider/cmd/internal/rig"
)

// flushCalls are the calls that are held, by their numbers.
var flushCalls = map[int32]string{unix.SYS_MSYNC: "msync", unix.SYS_FSYNC: "fsync", unix.SYS_FDATASYNC: "fdatasync"}

// notification is struct seccomp_notif.
type notification struct {
	ID    uint64
	Pid   uint32
	Flags uint32
	Call  int32
	Arch  uint32
	At    uint64
	Args  [6]uint64
}

// response is struct seccomp_notif_resp.
type response struct {
	ID    uint64
	Value int64
	Error int32
	Flags uint32
}

// canTap returns why calls cannot be held here, or nil.
func canTap() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if out, err := exec.Command(self, tapCommand, "").CombinedOutput(); err != nil {
		return fmt.Errorf("a filter of system calls that reports to us is refused: %s", strings.TrimSpace(string(out)))
	}
	return nil
}

// runTapped is the hidden command: it installs the filter, hands it over to the
// socket of a name, and becomes the program. Without a name it only tries.
func runTapped(args []string) error {
	if len(args) == 0 || args[0] != "" && len(args) < 2 {
		return errors.New("it is for the modes that hold flushes")
	}
	runtime.LockOSThread() // the filter is this thread's, which becomes the program
	listener, err := filterFlushes()
	if err != nil || args[0] == "" {
		return err
	}
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: args[0], Net: "unix"})
	if err != nil {
		return err
	}
	if _, _, err := conn.WriteMsgUnix([]byte{0}, unix.UnixRights(listener), nil); err != nil {
		return fmt.Errorf("hand over the filter: %w", err)
	}
	if _, err := conn.Read(make([]byte, 1)); err != nil { // until it is served
		return fmt.Errorf("hand over the filter: %w", err)
	}
	return syscall.Exec(args[1], args[1:], os.Environ())
}

// filterFlushes has all flushes of the calling thread, and of what it becomes,
// reported to the descriptor that it returns.
func filterFlushes() (listener int, err error) {
	arch, known := map[string]uint32{"amd64": unix.AUDIT_ARCH_X86_64, "arm64": unix.AUDIT_ARCH_AARCH64}[runtime.GOARCH]
	if !known {
		return 0, fmt.Errorf("not known how on %s", runtime.GOARCH)
	}
	// Only a deadly signal interrupts a call that is held (Linux 5.19): any other
	// would have it held, and counted, again.

	const (
		load  = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
		equal = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
		give  = unix.BPF_RET | unix.BPF_K
	)
	program := []unix.SockFilter{
		{Code: load, K: 4}, // the architecture
		{Code: equal, K: arch, Jf: 4},
		{Code: load, K: 0}, // the number of the call
		{Code: equal, K: unix.SYS_MSYNC, Jt: 3},
		{Code: equal, K: unix.SYS_FSYNC, Jt: 2},
		{Code: equal, K: unix.SYS_FDATASYNC, Jt: 1},
		{Code: give, K: unix.SECCOMP_RET_ALLOW},
		{Code: give, K: unix.SECCOMP_RET_USER_NOTIF},
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return 0, fmt.Errorf("give up new privileges: %w", err)
	}
	filter := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	fd, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_NEW_LISTENER|unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, uintptr(unsafe.Pointer(&filter)))
	runtime.KeepAlive(program)
	if errno != 0 {
		return 0, fmt.Errorf("install the filter: %w", errno)
	}
	return int(fd), nil
}

// handover is where a child that is to be tapped reports.
type handover struct {
	name     string
	listener *net.UnixListener
}

func newHandover(r *round) (*handover, error) {
	// A name and not a path: those may be too long.
	name := fmt.Sprintf("@postrider-torture-%d-%016x", os.Getpid(), r.seed)
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: name, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("listen for the child: %w", err)
	}
	return &handover{name, l}, nil
}

func (h *handover) close() error { return h.listener.Close() }

// take receives the child's filter and serves it from now on.
func (t *tap) take(h *handover, c *rig.Child) error {
	defer func() { _ = h.close() }()
	if err := h.listener.SetDeadline(time.Now().Add(rig.Patience)); err != nil {
		return err
	}
	conn, err := h.listener.AcceptUnix()
	if err != nil {
		return fmt.Errorf("await the child: %w", err)
	}
	defer func() { _ = conn.Close() }()
	rights := make([]byte, unix.CmsgSpace(4))
	_, n, _, _, err := conn.ReadMsgUnix(make([]byte, 1), rights)
	if err != nil {
		return fmt.Errorf("take over the filter: %w", err)
	}
	messages, err := unix.ParseSocketControlMessage(rights[:n])
	if err != nil || len(messages) != 1 {
		return fmt.Errorf("take over the filter: %d messages: %w", len(messages), err)
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		return fmt.Errorf("take over the filter: %d descriptors: %w", len(fds), err)
	}
	unix.CloseOnExec(fds[0])
	go func() {
		defer close(t.done)
		t.err = errors.Join(t.serve(fds[0], c), unix.Close(fds[0]))
	}()
	_, err = conn.Write([]byte{0})
	return err
}

// serve answers until the child has ended. If it left earlier, the child's flushes
// would fail in a way that no disk has.
func (t *tap) serve(fd int, c *rig.Child) error {
	polled := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	for !c.Gone() {
		n, err := unix.Poll(polled, 100)
		if errors.Is(err, unix.EINTR) || err == nil && n == 0 {
			continue
		}
		if err != nil {
			return fmt.Errorf("await a flush: %w", err)
		}
		if polled[0].Revents&unix.POLLIN == 0 {
			return nil // nobody is left
		}
		if err := t.one(fd); err != nil && !errors.Is(err, unix.ENOENT) { // the child was killed meanwhile
			return err
		}
	}
	return nil
}

// one takes one flush and answers it.
func (t *tap) one(fd int) error {
	var n notification
	if err := control(fd, unix.SECCOMP_IOCTL_NOTIF_RECV, unsafe.Pointer(&n)); err != nil {
		return fmt.Errorf("hear of a flush: %w", err)
	}
	f := flush{Call: flushCalls[n.Call], At: time.Since(t.began), pid: int(n.Pid)}
	f.File = fileOf(f, n.Args[0])
	fate, pause := t.decide(f)
	r := response{ID: n.ID, Flags: unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE}
	switch fate {
	case isFatal:
		return killProcess(f)
	case fails:
		r.Flags, r.Error = 0, -int32(unix.EIO)
	case wasLast:
		// Done here, it is done when the answer is given.
		if err := flushFile(f.File); err != nil {
			return fmt.Errorf("flush %s in place of the program: %w", f.File, err)
		}
		r.Flags = 0
	}
	if err := control(fd, unix.SECCOMP_IOCTL_NOTIF_SEND, unsafe.Pointer(&r)); err != nil {
		return fmt.Errorf("answer a flush: %w", err)
	}
	if fate == wasLast {
		time.Sleep(pause)
		return killProcess(f)
	}
	return nil
}

// killProcess ends the process that a flush is of, unless it has just ended.
func killProcess(f flush) error {
	if err := unix.Kill(f.pid, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("kill the program: %w", err)
	}
	return nil
}

// fileOf finds what a flush is of: the first argument is an address or a
// descriptor.
func fileOf(f flush, argument uint64) string {
	if f.Call == "msync" {
		maps, _ := os.ReadFile(fmt.Sprintf("/proc/%d/maps", f.pid)) // of a child that was killed
		return fileAt(string(maps), argument)
	}
	path, _ := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", f.pid, int32(argument)))
	return path
}

func flushFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func control(fd int, request uintptr, argument unsafe.Pointer) error {
	for {
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), request, uintptr(argument))
		switch errno {
		case 0:
			return nil
		case unix.EINTR:
		default:
			return errno
		}
	}
}
