package badger

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/postrider/postrider/data"
)

// A backup is a stream: the magic, the version of this format, and frames. A frame is
// its kind, its number, the length of what it holds, that, and a CRC-32C over all of
// these. The first one is the header, the last the trailer, with how much there was
// before it and the SHA-256 of that; in between are records in the order of their keys,
// each a key, the seconds that it has left to live (0 for no end) and a value:
//
//	magic(16) version(2) { kind(1) number(4) length(4) content crc(4) }
//
// So what was cut off has no trailer, and what was changed anywhere is told by the frame
// it is in, before anything of it is used.
const (
	backupMagic   = "postrider-backup"
	backupVersion = 1

	frameHeader  = 'H'
	frameRecords = 'R'
	frameTrailer = 'T'

	frameHead = 1 + 4 + 4
	// chunkSize is how many bytes of records are put into one frame; the last of them
	// may be as long as a value can be.
	chunkSize = 256 << 10
	maxFrame  = chunkSize + valueThreshold + 4<<10
)

// Backup says what a backup holds. Of one that is being read only the first half is
// known.
type Backup struct {
	Commit   uint64         // the newest commit in it
	At       time.Time      // when it was made, by the clock of the machine
	Time     data.StoreTime // the same in store time, at the newest commit
	Memtable int64          // of the store
	About    int64          // how many bytes it was thought to become; a store may hold more than is backed up

	Entries int64 // records
	Bytes   int64
}

// header is what a restored store begins with.
type header struct {
	Backup
	schema   int
	ring     uint32
	epoch    uint16 // the greatest in which ids were given
	events   data.ID
	doubtful data.ID
}

func (h header) encode() []byte {
	b := appendUint(nil, 1, uint64(h.schema))
	b = appendUint(b, 2, h.Commit)
	b = appendUint(b, 3, uint64(h.At.UnixMilli()))
	b = appendUint(b, 4, uint64(h.Time))
	b = appendUint(b, 5, uint64(h.Memtable))
	b = appendUint(b, 6, uint64(h.ring))
	b = appendUint(b, 7, uint64(h.epoch))
	b = appendUint(b, 8, uint64(h.events))
	b = appendUint(b, 9, uint64(h.doubtful))
	return appendUint(b, 10, uint64(h.About))
}

func decodeHeader(b []byte) (h header, err error) {
	err = eachFieldOf(nil, b, func(tag protowire.Number, n uint64, _ []byte) error {
		switch tag {
		case 1:
			h.schema = int(n)
		case 2:
			h.Commit = n
		case 3:
			h.At = wall(n)
		case 4:
			h.Time = data.StoreTime(n)
		case 5:
			h.Memtable = int64(n)
		case 6:
			h.ring = uint32(n)
		case 7:
			h.epoch = uint16(n)
		case 8:
			h.events = data.ID(n)
		case 9:
			h.doubtful = data.ID(n)
		case 10:
			h.About = int64(n)
		}
		return nil
	})
	if err != nil || h.schema < 1 {
		return h, badBackup("its header makes no sense")
	}
	if err := known("the store of the backup", h.schema); err != nil {
		return h, err
	}
	if h.Memtable < MinMemtable || h.Memtable > MaxMemtable || h.ring == 0 || h.Time < 0 {
		return h, badBackup("a value of its header is out of range")
	}
	return h, nil
}

func badBackup(why string) error { return fmt.Errorf("%s: %w", why, data.ErrBadBackup) }

// backupWriter writes a backup.
type backupWriter struct {
	out    io.Writer
	sum    hash.Hash
	number uint32

	entries, bytes int64
}

func newBackupWriter(out io.Writer, h header) (*backupWriter, error) {
	w := &backupWriter{out: out, sum: sha256.New()}
	if err := w.write(binary.BigEndian.AppendUint16([]byte(backupMagic), backupVersion)); err != nil {
		return nil, err
	}
	return w, w.frame(frameHeader, h.encode())
}

// end writes the trailer.
func (w *backupWriter) end() error {
	b := appendUint(nil, 1, uint64(w.entries))
	b = appendUint(b, 2, uint64(w.bytes))
	return w.frame(frameTrailer, appendBytes(b, 3, w.sum.Sum(nil)))
}

func (w *backupWriter) frame(kind byte, content []byte) error {
	head := frameHeadOf(kind, w.number, len(content))
	w.number++
	crc := binary.BigEndian.AppendUint32(nil, frameSum(head, content))
	for _, part := range [][]byte{head, content, crc} {
		if err := w.write(part); err != nil {
			return err
		}
	}
	return nil
}

func (w *backupWriter) write(b []byte) error {
	w.sum.Write(b)
	w.bytes += int64(len(b))
	if _, err := w.out.Write(b); err != nil {
		return fmt.Errorf("write the backup: %w", err)
	}
	return nil
}

func frameHeadOf(kind byte, number uint32, length int) []byte {
	head := binary.BigEndian.AppendUint32([]byte{kind}, number)
	return binary.BigEndian.AppendUint32(head, uint32(length))
}

func frameSum(head, content []byte) uint32 {
	return crc32.Update(crc32.Checksum(head, castagnoli), castagnoli, content)
}

// backupReader reads a backup and checks all of it on the way.
type backupReader struct {
	in     *bufio.Reader
	sum    hash.Hash
	number uint32
	header header
	last   []byte // key
}

// newBackupReader reads up to the first record.
func newBackupReader(in io.Reader) (*backupReader, error) {
	r := &backupReader{in: bufio.NewReaderSize(in, 64<<10), sum: sha256.New()}
	begin := make([]byte, len(backupMagic)+2)
	if err := r.fill(begin); err != nil {
		return nil, err
	}
	if !bytes.HasPrefix(begin, []byte(backupMagic)) {
		return nil, badBackup("this is no backup of Postrider")
	}
	switch version := binary.BigEndian.Uint16(begin[len(backupMagic):]); {
	case version > backupVersion:
		return nil, fmt.Errorf("the backup has format %d, this program knows up to %d: %w", version, backupVersion, data.ErrNewerFormat)
	case version == 0:
		return nil, badBackup("its version is out of range")
	}
	r.sum.Write(begin)
	kind, content, err := r.frame()
	if err != nil {
		return nil, err
	}
	if kind != frameHeader {
		return nil, badBackup("it has no header")
	}
	read := r.header.Bytes
	r.header, err = decodeHeader(content)
	r.header.Bytes = read
	return r, err
}

// next returns the content of the next frame of records, which is not used again, or nil
// behind the last one, when all there was has been found whole.
func (r *backupReader) next() ([]byte, error) {
	before := r.sum.Sum(nil)
	size := r.header.Bytes
	kind, content, err := r.frame()
	switch {
	case err != nil:
		return nil, err
	case kind == frameRecords && len(content) > 0:
		return content, nil
	case kind != frameTrailer:
		return nil, badBackup("a part of it has no meaning")
	}
	var entries, length int64
	var sum []byte
	err = eachFieldOf(nil, content, func(tag protowire.Number, n uint64, b []byte) error {
		switch tag {
		case 1:
			entries = int64(n)
		case 2:
			length = int64(n)
		case 3:
			sum = b
		}
		return nil
	})
	if err != nil || entries != r.header.Entries || length != size || !bytes.Equal(sum, before) {
		return nil, badBackup("it is not what its end says")
	}
	if _, err := r.in.ReadByte(); !errors.Is(err, io.EOF) {
		return nil, errors.Join(badBackup("something follows its end"), err)
	}
	return nil, nil
}

// frame reads a frame and compares its checksum.
func (r *backupReader) frame() (kind byte, content []byte, err error) {
	head := make([]byte, frameHead)
	if err := r.fill(head); err != nil {
		return 0, nil, err
	}
	length := binary.BigEndian.Uint32(head[5:])
	if length > maxFrame {
		return 0, nil, badBackup("the length of a part of it is out of range")
	}
	content = make([]byte, length+crc32.Size)
	if err := r.fill(content); err != nil {
		return 0, nil, err
	}
	content, crc := content[:length:length], content[length:]
	if binary.BigEndian.Uint32(crc) != frameSum(head, content) {
		return 0, nil, badBackup("a part of it has a wrong checksum")
	}
	if binary.BigEndian.Uint32(head[1:]) != r.number {
		return 0, nil, badBackup("a part of it is missing, or in the wrong place")
	}
	r.number++
	for _, b := range [][]byte{head, content, crc} {
		r.sum.Write(b)
	}
	return head[0], content, nil
}

// fill reads so many bytes, which must be there.
func (r *backupReader) fill(b []byte) error {
	n, err := io.ReadFull(r.in, b)
	r.header.Bytes += int64(n)
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return badBackup(fmt.Sprintf("it was cut off: it ends after %d bytes, in the middle", r.header.Bytes))
	case err != nil:
		return fmt.Errorf("read the backup: %w", err)
	}
	return nil
}

// backedUp is a record of a backup.
type backedUp struct {
	key, value []byte
	left       uint64 // seconds to live; 0 for no end
}

func appendRecord(b []byte, r backedUp) []byte {
	b = protowire.AppendBytes(b, r.key)
	b = protowire.AppendVarint(b, r.left)
	return protowire.AppendBytes(b, r.value)
}

// eachRecord visits the records of a frame and counts them.
func (r *backupReader) eachRecord(content []byte, visit func(backedUp) error) error {
	for len(content) > 0 {
		var one backedUp
		var sizes [3]int
		one.key, sizes[0] = protowire.ConsumeBytes(content)
		if sizes[0] >= 0 {
			one.left, sizes[1] = protowire.ConsumeVarint(content[sizes[0]:])
		}
		if sizes[0] >= 0 && sizes[1] >= 0 {
			one.value, sizes[2] = protowire.ConsumeBytes(content[sizes[0]+sizes[1]:])
		}
		if min(sizes[0], sizes[1], sizes[2]) < 0 || len(one.key) == 0 {
			return badBackup("a record in it is malformed")
		}
		if bytes.Compare(one.key, r.last) <= 0 {
			return badBackup("a record in it is out of order")
		}
		r.last = one.key
		content = content[sizes[0]+sizes[1]+sizes[2]:]
		r.header.Entries++
		if err := visit(one); err != nil {
			return err
		}
	}
	return nil
}

// CheckBackup reads a backup to its end and says what is in it. What is cut off or
// changed is a [data.ErrBadBackup], and one of another version a [data.ErrNewerFormat] or [data.ErrOlderFormat].
// progress, if there is one, is told how far it is, with what the header says.
func CheckBackup(in io.Reader, progress func(Backup)) (Backup, error) {
	r, err := newBackupReader(in)
	if err != nil {
		return Backup{}, err
	}
	for {
		content, err := r.next()
		if err != nil {
			return Backup{}, err
		}
		if content == nil {
			return r.header.Backup, nil
		}
		if err := r.eachRecord(content, func(backedUp) error { return nil }); err != nil {
			return Backup{}, err
		}
		if progress != nil {
			progress(r.header.Backup)
		}
	}
}
