package ui

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"io/fs"
	"path"
	"strings"
	"time"

	"github.com/postrider/postrider/data"
)

//go:embed templates/*.html
var templates embed.FS

//go:embed assets
var assets embed.FS

// Pages makes pages. Make it with [New]; it may be used by many at a time.
type Pages struct {
	sets   map[string]*template.Template
	assets map[string]Asset
	urls   map[string]template.URL // by the name of the file
}

// Asset is a file that pages load.
type Asset struct {
	Type string
	Body []byte
}

// AssetPath is what the path of every asset begins with.
const AssetPath = "/assets/"

// New reads the templates. An error is a bug in one of them.
func New() (*Pages, error) {
	p := &Pages{sets: map[string]*template.Template{}, assets: map[string]Asset{}, urls: map[string]template.URL{}}
	if err := p.readAssets(); err != nil {
		return nil, err
	}
	base, err := template.New("").Funcs(p.funcs()).ParseFS(templates, "templates/frame.html", "templates/parts.html")
	if err != nil {
		return nil, fmt.Errorf("read the frame of the pages: %w", err)
	}
	names, err := fs.Glob(templates, "templates/*.html")
	if err != nil {
		return nil, fmt.Errorf("list the pages: %w", err)
	}
	for _, file := range names {
		name := strings.TrimSuffix(path.Base(file), ".html")
		if name == "frame" || name == "parts" {
			continue
		}
		set, err := base.Clone()
		if err == nil {
			set, err = set.ParseFS(templates, file)
		}
		if err != nil {
			return nil, fmt.Errorf("read page %s: %w", name, err)
		}
		p.sets[name] = set
	}
	return p, nil
}

// readAssets names each asset after what is in it, so that it can be kept for ever.
func (p *Pages) readAssets() error {
	types := map[string]string{".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
	files, err := assets.ReadDir("assets")
	if err != nil {
		return fmt.Errorf("list the assets: %w", err)
	}
	for _, file := range files {
		body, err := assets.ReadFile("assets/" + file.Name())
		if err != nil {
			return fmt.Errorf("read an asset: %w", err)
		}
		body = bytes.ReplaceAll(body, []byte("HIDDEN"), []byte(hiddenPattern()))
		sum := sha256.Sum256(body)
		extension := path.Ext(file.Name())
		name := strings.TrimSuffix(file.Name(), extension) + "-" + hex.EncodeToString(sum[:6]) + extension
		p.assets[name] = Asset{Type: types[extension], Body: body}
		p.urls[file.Name()] = template.URL(AssetPath + name) //nolint:gosec // made of our own names
	}
	return nil
}

// Asset returns the file that pages load under a name.
func (p *Pages) Asset(name string) (Asset, bool) {
	a, ok := p.assets[name]
	return a, ok
}

// funcs is what templates can call.
func (p *Pages) funcs() template.FuncMap {
	return template.FuncMap{
		"asset":        func(name string) template.URL { return p.urls[name] },
		"number":       number[uint64],
		"count":        number[int],
		"rate":         rate,
		"span":         span,
		"relative":     relative,
		"exact":        exact,
		"clock":        clock,
		"size":         size,
		"line":         line,
		"whole":        block,
		"pieces":       pieces,
		"field":        field,
		"plural":       plural[uint64],
		"when":         func(now, at time.Time) moment { return moment{now, at} },
		"standing":     func(g Gateway, now time.Time) standing { return g.standing(now) },
		"spark":        func(g Gateway, step time.Duration) spark { return g.spark(step) },
		"chart":        func(h History) chart { return h.chart() },
		"steps":        func(v MessagePage) []step { return v.steps() },
		"why":          func(a Attention, now time.Time) string { return a.text(now) },
		"reason":       func(a Attention) string { return a.word() },
		"reasonTone":   func(a Attention) Tone { return a.tone() },
		"stateTone":    stateTone,
		"stateWords":   stateWords,
		"outcomeTone":  outcomeTone,
		"outcomeWords": outcomeWords,
		"outcomeLine":  outcomeLine,
		"causeWords":   causeWords,
		"causes":       data.Causes,
		"states":       data.AllStates,
		"sentence":     sentence,
		"join":         strings.Join,
		"navigation":   navigate,
		"pausable":     func(g Gateway, back string) pausable { return pausable{g, back} },
	}
}

// pausable is a gateway and the page that its button leads back to.
type pausable struct {
	Gateway Gateway
	Back    string
}

// moment is a time and when it is looked at.
type moment struct{ Now, At time.Time }

// make writes a page.
func (p *Pages) make(name string, view any) ([]byte, error) {
	var b bytes.Buffer
	if err := p.sets[name].ExecuteTemplate(&b, "frame", view); err != nil {
		return nil, fmt.Errorf("make page %s: %w", name, err)
	}
	return b.Bytes(), nil
}

// Overview makes the first page.
func (p *Pages) Overview(v Overview) ([]byte, error) { return p.make("overview", v) }

// Gateways makes the list of gateways.
func (p *Pages) Gateways(v Gateways) ([]byte, error) { return p.make("gateways", v) }

// Gateway makes the page of one gateway.
func (p *Pages) Gateway(v GatewayPage) ([]byte, error) { return p.make("gateway", v) }

// Messages makes the list of messages.
func (p *Pages) Messages(v Messages) ([]byte, error) { return p.make("messages", v) }

// Message makes the page of one message.
func (p *Pages) Message(v MessagePage) ([]byte, error) { return p.make("message", v) }

// Resend makes the page that asks before dead letters are sent again.
func (p *Pages) Resend(v Resend) ([]byte, error) { return p.make("resend", v) }

// Events makes the list of events.
func (p *Pages) Events(v Events) ([]byte, error) { return p.make("events", v) }

// Event makes the page of one event.
func (p *Pages) Event(v EventPage) ([]byte, error) { return p.make("event", v) }

// Config makes the page of the configuration.
func (p *Pages) Config(v Config) ([]byte, error) { return p.make("config", v) }

// Login makes the page that asks for a key.
func (p *Pages) Login(v Login) ([]byte, error) { return p.make("login", v) }

// Problem makes the page that says why there is nothing to see.
func (p *Pages) Problem(v Problem) ([]byte, error) { return p.make("problem", v) }
