package badger

import "fmt"

// badgerLog takes what Badger says. An error of its own goroutines is a failure
// of the store: a value log that cannot be flushed is reported nowhere else.
type badgerLog struct{ s *Store }

func (l badgerLog) Errorf(format string, v ...any) {
	err := fmt.Errorf("badger: "+format, v...)
	l.s.options.Logger.Error("storage engine", "err", err)
	_ = l.s.fail(err) // told through Failed
}

func (l badgerLog) Warningf(format string, v ...any) {
	l.s.options.Logger.Warn("storage engine", "says", fmt.Sprintf(format, v...))
}

func (l badgerLog) Infof(format string, v ...any) {
	l.s.saidByFlatten(format)
	l.s.options.Logger.Debug("storage engine", "says", fmt.Sprintf(format, v...))
}

func (badgerLog) Debugf(string, ...any) {}
