package badger

import (
	"fmt"
	"strings"
)

// badgerLog takes what Badger says. An error of its own goroutines is a failure
// of the store: a value log that cannot be flushed is reported nowhere else. So is
// a merge of tables that failed, though Badger only warns of it and tries again:
// after a manifest that could not be flushed it works with other tables than the
// next start finds named there.
type badgerLog struct{ s *Store }

func (l badgerLog) Errorf(format string, v ...any) {
	err := fmt.Errorf("badger: "+format, v...)
	l.s.options.Logger.Error("storage engine", "err", err)
	_ = l.s.fail(err) // told through Failed
}

func (l badgerLog) Warningf(format string, v ...any) {
	said := fmt.Sprintf(format, v...)
	l.s.options.Logger.Warn("storage engine", "says", said)
	// Of the two ways in which a merge ends without being done, one is no error: it
	// finds that another one was faster.
	if strings.Contains(format, "Compact FAILED") && !strings.Contains(said, "above base level") {
		_ = l.s.fail(fmt.Errorf("badger: merge tables: %s", said)) // told through Failed
	}
}

func (l badgerLog) Infof(format string, v ...any) {
	l.s.saidByFlatten(format)
	l.s.options.Logger.Debug("storage engine", "says", fmt.Sprintf(format, v...))
}

func (l badgerLog) Debugf(format string, v ...any) {
	l.s.merges.said(format, v...)
	if p := l.s.pace.Load(); p != nil {
		p.said(format, v...)
	}
}
