package main

import (
	"slices"

	"github.com/postrider/postrider/config"
	"github.com/postrider/postrider/data"
)

// declare puts in force what the configuration declares, and what the store has.
func (p *process) declare() error {
	gateways, mistakes := newCatalog(p.cfg, p.base, nil)
	for _, m := range mistakes {
		p.log.Error("a gateway cannot be used, its messages are parked", "key", m.Path, "problem", m.Problem)
	}
	routes, err := newRoutes(p.cfg.Routes)
	if err != nil {
		return err
	}
	p.made = newMade()
	var unusable config.Mistakes
	err = p.store.Declared(func(d data.Declared) error {
		unusable = append(unusable, p.made.load(d, p.cfg.Delivery)...)
		return nil
	})
	if err != nil {
		return err
	}
	p.reportUnusable(unusable)
	s := &snapshot{gateways: gateways, routes: routes, made: p.made}
	p.declared.misfit = p.misfit
	p.declared.Store(s)
	p.reportHidden(nil, s)
	p.limitMemory()
	return p.cfg.CheckTargets(p.declared.isMade)
}

// reportUnusable says which gateways that were declared over the API cannot be used.
func (p *process) reportUnusable(wrong config.Mistakes) {
	for i, m := range wrong {
		if i == maxReported {
			p.log.Error("there are more mistakes in gateways that were declared over the API", "more", len(wrong)-i)
			return
		}
		p.log.Error("a gateway that was declared over the API cannot be used, its messages are parked", "key", m.Path, "problem", m.Problem)
	}
}

// reportHidden says which gateways the configuration declares that are declared over
// the API too, once for each time that it begins to; before is nil at the start.
func (p *process) reportHidden(before, now *snapshot) {
	names := slices.DeleteFunc(now.hidden(), func(name string) bool {
		if before == nil {
			return false
		}
		_, already := before.gateways.entries[name]
		return already
	})
	if len(names) > 0 {
		p.log.Warn("the configuration declares gateways that are declared over the API too: the configuration wins",
			"count", len(names), "gateways", names[:min(len(names), maxReported)])
	}
}

// limitMemory sets the memory limit for what is declared now.
func (p *process) limitMemory() {
	made, weight := p.made.size()
	p.memory.follow(needs{p.store.Memtable(), len(p.declared.Load().gateways.names) + made, weight})
}
