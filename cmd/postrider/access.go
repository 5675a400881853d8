package main

import (
	"net"
	"slices"

	"github.com/postrider/postrider/config"
	httpapi "github.com/postrider/postrider/http"
)

// keysOf are the keys of a configuration for the server.
func keysOf(h config.HTTP) []httpapi.Key {
	keys := make([]httpapi.Key, len(h.Keys))
	for i, k := range h.Keys {
		sum := k.Sum()
		keys[i] = httpapi.Key{Name: k.Name, Hash: string(sum[:]), Gateways: k.Gateways}
		for _, scope := range k.Scopes {
			keys[i].Scopes = append(keys[i].Scopes, httpapi.Scope(scope))
		}
	}
	return keys
}

// hostsOf are the names by which the server may be called: the one that it listens at
// and those that are configured.
func (p *process) hostsOf(h config.HTTP) []string {
	return append(slices.Clone(h.Hosts), p.cfg.HTTP.Host)
}

// checkAudience refuses to be reachable by anybody without a key. The
// configuration was checked by name; what counts is what the name came to, and for a
// reload where the process listens already.
func (p *process) checkAudience(h config.HTTP) error {
	if len(h.Keys) > 0 || h.AllowAnonymous || !p.beyondLoopback() {
		return nil
	}
	return config.Mistakes{{Path: "http.host", Problem: "leads beyond loopback; declare http.keys, or set http.allow_anonymous"}}
}

// warnOfAnybody says that everybody who reaches the process is let in.
func (p *process) warnOfAnybody(h config.HTTP) {
	if len(h.Keys) == 0 && p.beyondLoopback() {
		p.log.Warn("anybody who reaches this address may send and read: http.allow_anonymous is set and there are no http.keys")
	}
}

func (p *process) beyondLoopback() bool {
	return !p.listener.Addr().(*net.TCPAddr).IP.IsLoopback()
}

// checkCertificate reports a certificate that the server could not show. The error is
// a config.Mistakes.
func checkCertificate(t config.ServerTLS) error {
	if !t.On() {
		return nil
	}
	_, err := httpapi.OpenCertificate(t.Certificate, t.Key, nil)
	return badCertificate(err)
}

// badCertificate makes a config.Mistakes of why a certificate cannot be used.
func badCertificate(err error) error {
	if err == nil {
		return nil
	}
	return config.Mistakes{{Path: "http.tls", Problem: "expected a certificate and its key, in PEM: " + err.Error()}}
}

// openCertificate opens the certificate that the server shows, nil for none.
func (p *process) openCertificate() (err error) {
	if t := p.cfg.HTTP.TLS; t.On() {
		p.certificate, err = httpapi.OpenCertificate(t.Certificate, t.Key, p.log)
	}
	return err
}

// readCertificate reads the certificate that the server shows anew. It is nil where
// there is none, and where the configuration names others, which takes a restart. The
// error is a config.Mistakes.
func (p *process) readCertificate(t config.ServerTLS) (*httpapi.Pair, error) {
	if p.certificate == nil || t != p.cfg.HTTP.TLS {
		return nil, nil //nolint:nilnil // as above
	}
	pair, err := p.certificate.Read()
	return pair, badCertificate(err)
}

// admit puts in force who is let in by a configuration that was read anew, and what the
// server shows itself with.
func (p *process) admit(next candidate) error {
	if err := p.server.Admit(keysOf(next.cfg.HTTP), p.hostsOf(next.cfg.HTTP)); err != nil {
		return err
	}
	p.warnOfAnybody(next.cfg.HTTP)
	if next.shown != nil {
		p.certificate.Use(next.shown)
	}
	return nil
}
