package httpapi

import (
	"errors"
	"log/slog"
	"time"

	"github.com/postrider/postrider/data"
)

// backupNews is how often the log says of a backup that it goes on.
const backupNews = time.Minute

// backupLog is what the log says of one backup.
type backupLog struct {
	log           *slog.Logger
	now           func() time.Time
	began, told   time.Time
	entries, size int64
}

func newBackupLog(o Options, key string) *backupLog {
	l := &backupLog{log: o.Logger.With("key", key), now: o.Now, began: o.Now()}
	l.told = l.began
	l.log.Info("a backup begins")
	return l
}

// with is the log with how far the backup got.
func (l *backupLog) with() *slog.Logger {
	return l.log.With("records", l.entries, "bytes", l.size, "took", l.now().Sub(l.began))
}

// progress is told of each piece.
func (l *backupLog) progress(entries, size int64) {
	l.entries, l.size = entries, size
	if now := l.now(); now.Sub(l.told) >= backupNews {
		l.told = now
		l.with().Info("a backup goes on")
	}
}

// end is told what became of it.
func (l *backupLog) end(err error) {
	log := l.with()
	switch {
	case err == nil:
		log.Info("a backup is made")
	case errors.Is(err, data.ErrNoSpace):
		log.Error("a backup was given up, so that the disk space can be freed that it keeps", "err", err)
	case errors.Is(err, data.ErrDamaged), errors.Is(err, data.ErrStorage):
		log.Error("a backup was cut off", "err", err)
	default:
		log.Warn("a backup was cut off", "err", err)
	}
}
