package persister

import "github.com/postrider/postrider/data"

// group is what the next commit will hold, and whom to answer. It keeps its
// memory from one commit to the next.
type group struct {
	batch    data.Batch
	saves    []save
	cancels  []cancel
	pauses   []pause
	declares []declare
	resends  []resend
	records  []Record
}

func (g *group) empty() bool { return g.batch.Empty() && len(g.records) == 0 }

// shared reports whether there is more in the group than a step of pruning.
func (g *group) shared() bool {
	others := g.batch
	others.Prune = nil
	return !others.Empty()
}

func (g *group) addSave(m save) {
	g.saves = append(g.saves, m)
	g.batch.Saves = append(g.batch.Saves, m.Save)
}

func (g *group) addCancel(m cancel) {
	g.cancels = append(g.cancels, m)
	g.batch.Cancels = append(g.batch.Cancels, m.Cancel)
}

func (g *group) addPause(m pause) {
	g.pauses = append(g.pauses, m)
	g.batch.Pauses = append(g.batch.Pauses, m.Pause)
}

func (g *group) addDeclare(m declare) {
	g.declares = append(g.declares, m)
	g.batch.Declares = append(g.batch.Declares, m.Declare)
}

func (g *group) addResend(m resend) {
	g.resends = append(g.resends, m)
	g.batch.Resends = append(g.batch.Resends, m.Resend)
}

func (g *group) addRecord(m Record) {
	g.records = append(g.records, m)
	if m.Begin != nil {
		g.batch.Begins = append(g.batch.Begins, m.Begin)
	}
	g.batch.Settles = append(g.batch.Settles, m.Settles...)
}

// answer tells everybody how the commit went. Each asker gets the error of the
// commit, or else the answer to its own part.
func (g *group) answer(err error) {
	for _, m := range g.saves {
		m.answer(firstOf(err, m.Err))
	}
	for _, m := range g.cancels {
		m.answer(firstOf(err, m.Err))
	}
	for _, m := range g.pauses {
		m.answer(err)
	}
	for _, m := range g.declares {
		m.answer(firstOf(err, m.Err))
	}
	for _, m := range g.resends {
		m.answer(firstOf(err, m.Err))
	}
	for _, m := range g.records {
		m.Done(err)
	}
}

func (g *group) clear() {
	b := &g.batch
	g.saves, g.cancels, g.pauses = emptied(g.saves), emptied(g.cancels), emptied(g.pauses)
	g.declares, g.resends, g.records = emptied(g.declares), emptied(g.resends), emptied(g.records)
	b.Settles, b.Pauses, b.Begins = emptied(b.Settles), emptied(b.Pauses), emptied(b.Begins)
	b.Declares = emptied(b.Declares)
	b.Cancels, b.Resends, b.Saves = emptied(b.Cancels), emptied(b.Resends), emptied(b.Saves)
	b.Prune, b.Arrived = nil, nil
}

// emptied keeps the memory of a slice and lets go of what is in it.
func emptied[T any](s []T) []T {
	clear(s)
	return s[:0]
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
