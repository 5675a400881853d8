package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"
)

// maxDeclaration bounds the file that a gateway is declared with; the server's own
// bound of a body is as large at most.
const maxDeclaration = 1 << 20

func addGatewayCommand() *cobra.Command {
	var v view
	var file string
	var replace bool
	c := &cobra.Command{
		Use:   "add NAME --file F",
		Short: "Declare a gateway on a running server",
		Long: `Declare a gateway on a running server, which keeps it over restarts. The file has
what would stand below its name in the configuration, in YAML or JSON. Values such as
{env: NAME} and {file: PATH} where secrets may stand are read here, not by the server.`,
		Example: `  postrider gateways add chat --file chat.yaml
  echo '{preset: ntfy, settings: {topic: my-alerts}}' | postrider gateways add phone --file -`,
		Args: oneGateway,
		RunE: func(c *cobra.Command, args []string) error {
			if file == "" {
				return usageError{errors.New("gateways add needs a declaration: --file F, or - for the standard input")}
			}
			tree, err := readDeclaration(c.InOrStdin(), file)
			if err != nil {
				return usageError{err}
			}
			what := errand{method: http.MethodPut, path: gatewaysPath + "/" + args[0], goOn: "see gateways show, or repeat the command"}
			if !replace {
				what.method, what.path = http.MethodPost, gatewaysPath
				tree["name"] = args[0]
			}
			if what.body, err = json.Marshal(tree, json.Deterministic(true)); err != nil {
				return usageError{errors.New("the declaration has something that JSON has not")}
			}
			var now shownGateway
			return v.show(c, what, &now, func(out io.Writer) error {
				if now.Name != args[0] {
					return errNotOurs
				}
				_, err := fmt.Fprintln(out, args[0], "is declared")
				return err
			})
		},
	}
	c.Flags().StringVarP(&file, "file", "f", "", "file with the declaration; - is the standard input")
	c.Flags().BoolVar(&replace, "replace", false, "put it in the place of the one that there is")
	v.flags(c)
	return c
}

// readDeclaration reads a declaration and the secrets that it names.
func readDeclaration(in io.Reader, file string) (map[string]any, error) {
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, fmt.Errorf("read the declaration: %w", err)
		}
		defer func() { _ = f.Close() }()
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, maxDeclaration+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read the declaration: %w", err)
	case len(text) > maxDeclaration:
		return nil, fmt.Errorf("the declaration is larger than %d KiB", maxDeclaration>>10)
	}
	var tree map[string]any
	if err := yaml.Unmarshal(text, &tree); err != nil || tree == nil {
		return nil, errors.New("the declaration is no YAML or JSON object of what stands below a gateway's name")
	}
	for key, value := range tree {
		if key == "body" {
			continue // in a body such an object is text of the gateway's
		}
		if tree[key], err = resolve(key, value); err != nil {
			return nil, err
		}
	}
	return tree, nil
}

// resolve puts secrets in the place of {env: NAME} and {file: PATH}.
func resolve(path string, value any) (any, error) {
	switch v := value.(type) {
	case map[string]any:
		if len(v) == 1 {
			if name, ok := v["env"].(string); ok {
				secret, ok := os.LookupEnv(name)
				if !ok {
					return nil, fmt.Errorf("%s: the variable that it names is not set", path)
				}
				return secret, nil
			}
			if file, ok := v["file"].(string); ok {
				secret, err := os.ReadFile(file)
				if err != nil {
					return nil, fmt.Errorf("%s: %w", path, err)
				}
				return strings.TrimSuffix(strings.TrimSuffix(string(secret), "\n"), "\r"), nil
			}
		}
		for key, inner := range v {
			var err error
			if v[key], err = resolve(path+"."+key, inner); err != nil {
				return nil, err
			}
		}
	case []any:
		for i, inner := range v {
			var err error
			if v[i], err = resolve(fmt.Sprintf("%s[%d]", path, i), inner); err != nil {
				return nil, err
			}
		}
	}
	return value, nil
}

func removeGatewayCommand() *cobra.Command {
	var server remote
	var asJSON bool
	c := &cobra.Command{
		Use:   "remove NAME",
		Short: "End the declaration of a gateway that was declared over the API",
		Long: `End the declaration of a gateway that was declared over the API. Messages that wait
for it stay where they are, and go on when it is declared again.`,
		Args: oneGateway,
		RunE: func(c *cobra.Command, args []string) error {
			_, err := server.call(c.Context(), errand{
				method: http.MethodDelete, path: gatewaysPath + "/" + args[0], status: http.StatusNoContent,
				goOn: "see gateways show, or repeat the command",
			})
			if err != nil {
				return noGateway(args[0], err)
			}
			if asJSON {
				_, err = fmt.Fprintf(c.OutOrStdout(), "{\"removed\":%q}\n", args[0]) // a name needs no escapes
				return err
			}
			_, err = fmt.Fprintln(c.OutOrStdout(), args[0], "is not declared any more")
			return err
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print the result as JSON")
	server.flags(c)
	return c
}
