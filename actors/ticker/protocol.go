package ticker

// tickDue is sent to self when the next event is due. The timer outlives a
// restart, so it carries whose it is.
type tickDue struct{ incarnation *Actor }

// posted is sent to self when an event was answered, or not.
type posted struct {
	incarnation *Actor
	answer      Answer
	err         error
}
