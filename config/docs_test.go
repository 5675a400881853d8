package config

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// table returns the cells of each row of docs/configuration.md by what its first cell
// names.
func table(t *testing.T) map[string][]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "docs", "configuration.md"))
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string][]string{}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "| `") {
			continue
		}
		cells := strings.Split(strings.Trim(line, "| "), " | ")
		for name := range strings.SplitSeq(cells[0], ", ") {
			rows[strings.Trim(name, "`")] = cells
		}
	}
	return rows
}

// Every key stands in docs/configuration.md with its default, and no other does.
func TestDocumentHasEveryKeyWithItsDefault(t *testing.T) {
	rows := table(t)
	known := map[string]bool{}
	for _, k := range keys() {
		known[k.path] = true
		want := "`" + defaultText(k.value) + "`"
		switch {
		case k.whole():
			want = "none"
		case reflect.ValueOf(k.value).IsZero() && want == "``":
			want = "empty"
		}
		if cells := rows[k.path]; len(cells) < 3 || cells[1] != want || cells[2] == "" {
			t.Errorf("the row of %s is %q; want the default %s and what it says", k.path, cells, want)
		}
	}
	for name := range rows {
		if strings.Contains(name, ".") && !known[name] {
			t.Errorf("there is a row of %s, which is no key", name)
		}
	}
}

// So do the fields of a gateway and of a route.
func TestDocumentHasEveryField(t *testing.T) {
	rows := table(t)
	known := map[string]bool{"gateways": true, "routes": true}
	for _, typ := range []reflect.Type{reflect.TypeFor[Gateway](), reflect.TypeFor[Route]()} {
		for f := range typ.Fields() {
			name := keyOf(f)
			known[name] = true
			if cells := rows[name]; len(cells) < 3 {
				t.Errorf("there is no row of %s, a field of %s", name, typ.Name())
			}
		}
	}
	for name := range rows {
		if !strings.Contains(name, ".") && !known[name] {
			t.Errorf("there is a row of %s, which is no field", name)
		}
	}
}
