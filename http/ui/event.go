package ui

import "github.com/postrider/postrider/data"

// Events is a page of the list of events.
type Events struct {
	Frame
	Type   string // only events of this type; "" for all
	Newest bool   // whether the newest come first
	List   []data.Event
	Next   string // the address of the following page; "" at the end
	First  string // that of the first page; "" when this is it
	Tail   string // where new ones are told as they come; "" when they are not
}

// EventPage shows one event and the messages that routes made of it.
type EventPage struct {
	Frame
	Event    data.Event
	Messages []data.Message
	More     bool // whether there may be more messages than these
}
