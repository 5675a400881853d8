package main

import (
	"debug/buildinfo"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// licences runs deploy/licenses for a program, in an environment with more in it.
func licences(t *testing.T, program string, environ ...string) (out, errs string, err error) {
	t.Helper()
	var o, e strings.Builder
	c := exec.CommandContext(t.Context(), filepath.Join("..", "..", "deploy", "licenses"), program)
	c.Env, c.Stdout, c.Stderr = append(os.Environ(), environ...), &o, &e
	err = c.Run()
	return o.String(), e.String(), err
}

// linked are the modules that a program is linked from, as path and version.
func linked(t *testing.T, program string) (all []string) {
	t.Helper()
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range info.Deps {
		all = append(all, m.Path+" "+m.Version)
	}
	return all
}

// Whoever passes the program on passes on the terms of what it is linked from.
func TestEveryModuleHasItsLicence(t *testing.T) {
	t.Parallel()
	program := binary(t)
	out, errs, err := licences(t, program)
	if err != nil {
		t.Fatalf("deploy/licenses: %v\n%s", err, errs)
	}
	said := map[string]string{} // by module
	for _, section := range regexp.MustCompile(`(?m)^={80}$`).Split(out, -1)[1:] {
		name, text, _ := strings.Cut(strings.TrimSpace(section), "\n")
		said[name] = text
	}
	modules := linked(t, program)
	terms := regexp.MustCompile(`(?i)copyright|licen[sc]e`)
	file := regexp.MustCompile(`(?m)^-{80}\n.*\n`)
	for _, name := range append(modules, "Go "+runtime.Version()) {
		if !terms.MatchString(file.ReplaceAllString(said[name], "")) {
			t.Errorf("there is no licence of %s", name)
		}
		path, _, _ := strings.Cut(name, " ")
		for _, more := range moreTerms()[path] {
			if !strings.Contains(said[name], "\n"+more+"\n\n") {
				t.Errorf("there is no %s of %s", more, name)
			}
		}
		delete(said, name)
	}
	if len(modules) < 20 || len(said) > 0 {
		t.Errorf("%d modules are linked in; not one of them: %v", len(modules), slices.Collect(maps.Keys(said)))
	}
}

// moreTerms are files of some modules beside their licence, for each reason there is one.
func moreTerms() map[string][]string {
	return map[string][]string{
		"Go":                                  {"PATENTS"},
		"github.com/prometheus/client_golang": {"NOTICE", "internal/github.com/golang/gddo/LICENSE"}, // which is somebody else's
	}
}

// A module whose licence is not found is told, and nothing is shipped then.
func TestModuleWithoutItsLicence(t *testing.T) {
	t.Parallel()
	tool, err := exec.LookPath("go")
	if err != nil {
		t.Fatal(err)
	}
	bare := "#!/bin/sh\n'" + tool + "' \"$@\" || exit\n[ \"$1\" != version ] || printf '\\tdep\\texample.com/bare\\tv1.2.3\\n'\n"
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "go"), []byte(bare), 0o700); err != nil { //nolint:gosec // it is run
		t.Fatal(err)
	}
	_, errs, err := licences(t, binary(t), "PATH="+dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	if err == nil || !strings.Contains(errs, "no licence is found of example.com/bare v1.2.3") {
		t.Errorf("deploy/licenses = %v, and it says %s", err, errs)
	}
}

// The licences are made for the program that is shipped, and shipped with it.
func TestLicencesAreShipped(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		file []string
		has  []string // lines, in part
	}{
		{[]string{"Dockerfile"}, []string{"deploy/licenses /out/postrider >/out/THIRD_PARTY_LICENSES", "COPY --from=build /out/LICENSE /out/THIRD_PARTY_LICENSES /"}},
		{[]string{"deploy", "nfpm.yaml"}, []string{`- {src: "${LICENSES}", dst: /usr/share/doc/postrider/THIRD_PARTY_LICENSES,`}},
		{[]string{"deploy", "release"}, []string{`deploy/licenses "$tree/postrider" >"$tree/THIRD_PARTY_LICENSES"`, "LICENSES=$tree/THIRD_PARTY_LICENSES"}},
	} {
		text := regexp.MustCompile(`(?m)^\s*#.*$`).ReplaceAllString(deployed(t, c.file...), "")
		for _, want := range c.has {
			if !strings.Contains(text, want) {
				t.Errorf("%v leaves the licences out: it has no %s", c.file, want)
			}
		}
	}
}
