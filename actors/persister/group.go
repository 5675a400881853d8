package persister

import "github.com/postrider/postrider/data"

// group is what the next commit will hold, and whom to answer. It keeps its
// memory from one commit to the next.
type group struct {
	batch   data.Batch
	saves   []save
	cancels []cancel
	records []Record
}

func (g *group) empty() bool { return g.batch.Empty() && len(g.records) == 0 }

func (g *group) addSave(m save) {
	g.saves = append(g.saves, m)
	g.batch.Saves = append(g.batch.Saves, m.Save)
}

func (g *group) addCancel(m cancel) {
	g.cancels = append(g.cancels, m)
	g.batch.Cancels = append(g.batch.Cancels, m.Cancel)
}

func (g *group) addRecord(m Record) {
	g.records = append(g.records, m)
	if m.Begin != nil {
		g.batch.Begins = append(g.batch.Begins, m.Begin)
	}
	g.batch.Settles = append(g.batch.Settles, m.Settles...)
}

// answer tells everybody how the commit went and empties the group. Each asker
// gets the error of the commit, or else the answer to its own part.
func (g *group) answer(err error) {
	for _, m := range g.saves {
		m.answer(firstOf(err, m.Err))
	}
	for _, m := range g.cancels {
		m.answer(firstOf(err, m.Err))
	}
	for _, m := range g.records {
		m.Done(err)
	}
	clear(g.saves)
	clear(g.cancels)
	clear(g.records)
	clear(g.batch.Saves)
	clear(g.batch.Cancels)
	clear(g.batch.Begins)
	clear(g.batch.Settles)
	g.saves, g.cancels, g.records = g.saves[:0], g.cancels[:0], g.records[:0]
	g.batch.Saves, g.batch.Cancels = g.batch.Saves[:0], g.batch.Cancels[:0]
	g.batch.Begins, g.batch.Settles = g.batch.Begins[:0], g.batch.Settles[:0]
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// accepted lists the gateways that got messages, each once.
func (g *group) accepted() []string {
	var names []string
	seen := make(map[string]struct{})
	for _, m := range g.saves {
		if m.Err != nil || m.Repeated {
			continue
		}
		for _, n := range m.Messages {
			if _, ok := seen[n.Gateway]; !ok {
				seen[n.Gateway] = struct{}{}
				names = append(names, n.Gateway)
			}
		}
	}
	return names
}
