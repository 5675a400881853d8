package httpapi

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"

	"github.com/gofiber/fiber/v2"

	"github.com/postrider/postrider/data"
)

// Backuper writes all that is stored as it is at one moment. What it wrote before an
// error is no backup, and says so itself.
type Backuper interface {
	Backup(ctx context.Context, w io.Writer, progress func(entries, bytes int64)) error
	// MayBackUp returns why none can be made now, or nil.
	MayBackUp() error
}

// newBackupTurns let one backup be made at a time. Nobody waits for that turn.
func newBackupTurns() turns { return newTurns(1, errBackingUp) }

// getBackup answers with a backup, which is made while it is written. It takes as long as
// there is something to write and somebody who takes it. Cut off, the answer has no end,
// and neither has the backup.
func (s *Server) getBackup(c *fiber.Ctx) error {
	if s.draining.Load() {
		return data.ErrStopping
	}
	if !c.Request().Header.IsHTTP11() {
		return fiber.ErrBadRequest // there the length of an answer comes first
	}
	if err := s.opts.Backuper.MayBackUp(); err != nil {
		return err
	}
	if err := s.backups.take(0); err != nil {
		return err
	}
	if !s.inFlight.enter() { // the handler is over before the answer is written
		s.backups.end()
		return data.ErrStopping
	}
	b := &backupBody{s: s, by: callerOf(c).name, conn: c.Context().Conn()}
	c.Response().Header.SetContentType("application/octet-stream")
	c.Response().SetBodyStream(b, -1)
	c.Context().SetConnectionClose()
	return nil
}

// backupBody is the body of that answer. The server below has it write itself, and
// closes it when it has, when it cannot, and when nobody wants it, as with HEAD.
type backupBody struct {
	s      *Server
	by     string // name of the key
	conn   net.Conn
	closed bool
}

// Read is not how it is read.
func (*backupBody) Read([]byte) (int, error) { return 0, errors.ErrUnsupported }

// SupportsBodyWriteTo says that it is to write itself.
func (*backupBody) SupportsBodyWriteTo() bool { return true }

// WriteTo makes the backup.
func (b *backupBody) WriteTo(w io.Writer) (int64, error) {
	// Whoever takes nothing keeps us from hearing that the server stops.
	stop := context.AfterFunc(b.s.life, func() { _ = b.conn.Close() })
	defer stop()
	calm := calmBelow(b.conn)
	calm.keepPace(backupPace, b.s.opts.WriteTimeout)
	defer calm.keepPace(0, 0)
	out := bufio.NewWriterSize(w, backupPiece)
	l := newBackupLog(b.s.opts, b.by)
	err := b.s.opts.Backuper.Backup(b.s.life, out, l.progress)
	if err == nil {
		err = out.Flush()
	}
	l.end(err)
	return l.size, err
}

// backupPiece is how many bytes go into one piece of the answer.
const backupPiece = 64 << 10

// backupPace is how many bytes of a backup have to be taken in the time that a write may
// take. With 30 s it is a twelfth of what a line of 10 MBit/s carries and less than one of
// 1 MBit/s does, the least over which anybody fetches backups; and a GiB is taken in less
// than three hours, so that long at most its moment keeps deleted records on the disk.
const backupPace = 3 << 20

// Close lets others have their turn.
func (b *backupBody) Close() error {
	if b.closed {
		return nil
	}
	b.closed = true
	b.s.backups.end()
	b.s.inFlight.leave()
	return nil
}
