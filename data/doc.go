// Package data is the vocabulary of Postrider: the records, the rules that
// bind them, and the errors that every layer understands. It is pure. It opens
// no file, starts no goroutine, reads no clock, and imports nothing but the
// standard library.
//
// An event is what a client posts to /event; it is kept. A message is one text
// for one gateway, and has a life: it is queued, an attempt begins, the attempt
// comes to an outcome, and either the message ends or it waits for its next
// attempt. A gateway is an outside HTTP API; its lane is the run-time side of
// it, the queue of its messages. A route turns an accepted event into messages.
//
// Two clocks appear here. A [StoreTime] decides: it never runs backwards and
// every due time is written in it. A time.Time informs: it is shown to people
// and nothing depends on it, but for the end of a message that expires, when the
// store was opened and cannot know how long it was closed.
package data
