package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/spf13/cobra"

	"github.com/postrider/postrider/data"
)

func resendCommand() *cobra.Command {
	var r resend
	c := &cobra.Command{
		Use:   "resend [ID]",
		Short: "Send dead letters again, each as a new message",
		Long: `Send dead letters again, each as a new message that names the old one: the one
with this ID, or all that match and were not sent again yet. What becomes a dead
letter meanwhile is left for the next time. Broken off, the command can be
repeated: it goes on where it was.`,
		Example: `  postrider messages resend --gateway gateway_1 --dry-run
  postrider messages resend --gateway gateway_1 --state failed --cause refused
  postrider messages resend 0000100000002`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usageError{errors.New("messages resend takes one id, or none and filters")}
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			r.command = c
			for _, name := range []string{"gateway", "state", "cause"} {
				// Left out it would mean all, which an unset variable of a shell does not.
				if f := c.Flags().Lookup(name); f.Changed && f.Value.String() == "" {
					return usageError{fmt.Errorf("--%s is given and empty; leave it out to mean all", name)}
				}
			}
			if len(args) == 0 {
				return r.many()
			}
			if r.filter != (filter{}) || r.dry {
				return usageError{errors.New("messages resend takes an id or filters, not both")}
			}
			return r.one(args[0])
		},
	}
	c.Flags().StringVarP(&r.filter.Gateway, "gateway", "g", "", "only those for this gateway")
	c.Flags().StringVar(&r.filter.State, "state", "", "only those in this state: failed, unknown or expired")
	c.Flags().StringVar(&r.filter.Cause, "cause", "", "only those whose last attempt had this cause, such as refused or timeout")
	c.Flags().BoolVar(&r.dry, "dry-run", false, "only count them")
	c.Flags().BoolVar(&r.yes, "yes", false, "do not ask before many are sent again; asked is only on a terminal")
	c.Flags().BoolVar(&r.json, "json", false, "print the result as JSON")
	r.server.flags(c)
	return c
}

// filter says which dead letters are meant.
type filter struct {
	Gateway string `json:"gateway,omitzero"`
	State   string `json:"state,omitzero"`
	Cause   string `json:"cause,omitzero"`
}

// resend is one run of the command.
type resend struct {
	command   *cobra.Command
	server    remote
	filter    filter
	dry       bool
	yes, json bool
}

// sums is what a run came to.
type sums struct {
	Matching int  `json:"matching"`
	Resent   *int `json:"resent,omitzero"` // nil for a count only
	Skipped  *int `json:"skipped,omitzero"`
}

// text says how many there are to begin with.
func (s sums) text() string {
	if s.Matching == 1 {
		return "1 message matches"
	}
	return fmt.Sprintf("%d messages match", s.Matching)
}

// goOn says what to do after an answer that did not come.
const goOn = "repeat the command: what was sent again is not sent a second time"

func (r *resend) one(text string) error {
	id, err := data.ParseID(text)
	if err != nil {
		return usageError{errors.New("what is given is not the id of a message")}
	}
	answer, err := r.server.call(r.command.Context(), errand{method: http.MethodPost, path: messagesPath + "/" + id.String() + "/resend", goOn: goOn})
	switch {
	case err != nil:
		return err
	case !r.json:
		return printID(r.command.OutOrStdout(), answer)
	}
	var given struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal(answer, &given); err != nil || given.ID == "" {
		return errNotOurs
	}
	return r.print(given)
}

func (r *resend) many() error {
	matching, err := r.count()
	if err != nil {
		return err
	}
	total := sums{Matching: matching}
	if !r.json {
		if _, err := fmt.Fprintln(r.command.OutOrStdout(), total.text()); err != nil {
			return err
		}
	}
	if r.dry {
		if r.json {
			return r.print(total)
		}
		return nil
	}
	if err := r.confirm(total.Matching); err != nil {
		return err
	}
	resent, skipped, err := r.drive(total.Matching)
	if err != nil {
		return fmt.Errorf("%d are sent again so far: %w", resent, err)
	}
	if r.json {
		total.Resent, total.Skipped = &resent, &skipped
		return r.print(total)
	}
	why := ""
	if skipped > 0 {
		why = ": their gateway is not declared any more, or somebody else sent them again"
	}
	_, err = fmt.Fprintf(r.command.OutOrStdout(), "%d are sent again, %d skipped%s\n", resent, skipped, why)
	return err
}

// resendPage is one request for many.
type resendPage struct {
	filter `json:",inline"`
	After  string `json:"after,omitzero"`
	Limit  int    `json:"limit"`
	Dry    bool   `json:"dry_run,omitzero"`
}

// resendAnswer is the answer to one page.
type resendAnswer struct {
	Matching *int    `json:"matching"` // of a dry run
	Resent   *int    `json:"resent"`
	Skipped  *int    `json:"skipped"`
	Next     *string `json:"next"` // where the following page begins; nil at the end
}

// count counts what matches now.
func (r *resend) count() (n int, err error) {
	page := resendPage{filter: r.filter, Limit: data.MaxResend, Dry: true}
	for more := true; more; {
		a, err := r.ask(page)
		if err != nil {
			return 0, err
		}
		if a.Matching == nil {
			return 0, errNotOurs
		}
		n += *a.Matching
		more = page.turn(a)
	}
	return n, nil
}

// drive sends again, page by page, as many as were counted: what is sent again
// and fails at once comes back at the end of the list, and would be met there.
func (r *resend) drive(matching int) (resent, skipped int, err error) {
	progress := io.Discard
	if terminal(r.command.ErrOrStderr()) && matching > 0 {
		progress = r.command.ErrOrStderr()
		defer func() { _, _ = fmt.Fprintln(progress) }()
	}
	page := resendPage{filter: r.filter}
	for more := true; more && resent+skipped < matching; {
		page.Limit = min(matching-resent-skipped, data.MaxResend)
		a, err := r.ask(page)
		if err != nil {
			return resent, skipped, err
		}
		if a.Resent == nil || a.Skipped == nil {
			return resent, skipped, errNotOurs
		}
		resent, skipped = resent+*a.Resent, skipped+*a.Skipped
		_, _ = fmt.Fprintf(progress, "\r%d of %d", resent+skipped, matching)
		more = page.turn(a)
	}
	return resent, skipped, nil
}

// turn makes of a page the one that follows it, false when there is none.
func (p *resendPage) turn(a resendAnswer) bool {
	if a.Next == nil {
		return false
	}
	p.After = *a.Next
	return true
}

func (r *resend) ask(page resendPage) (a resendAnswer, err error) {
	body, err := json.Marshal(page)
	if err != nil {
		return a, usageError{errors.New("a filter is not UTF-8")}
	}
	answer, err := r.server.call(r.command.Context(), errand{method: http.MethodPost, path: messagesPath + "/resend", body: body, goOn: goOn})
	if err != nil {
		return a, err
	}
	if err := json.Unmarshal(answer, &a); err != nil {
		return a, errNotOurs
	}
	return a, nil
}

// confirm asks a person, if there is one, before more than one page.
func (r *resend) confirm(matching int) error {
	in, errs := r.command.InOrStdin(), r.command.ErrOrStderr()
	if matching <= data.MaxResend || r.yes || !terminal(in) || !terminal(errs) {
		return nil
	}
	return agreed(r.command.Context(), in, errs, fmt.Sprintf("send %d messages again?", matching))
}

// agreed asks a question, which ctx ends.
func agreed(ctx context.Context, in io.Reader, errs io.Writer, question string) error {
	if _, err := fmt.Fprint(errs, question, " [y/N] "); err != nil {
		return err
	}
	said, err := aside(ctx, func() (string, error) { return bufio.NewReader(in).ReadString('\n') })
	if said = strings.ToLower(strings.TrimSpace(said)); err != nil || said != "y" && said != "yes" {
		return errors.New("nothing is sent again")
	}
	return nil
}

func (r *resend) print(v any) error {
	return printAsJSON(r.command.OutOrStdout(), v)
}
