package httpapi

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/postrider/postrider/data"
)

// How far one request counts what matches.
const (
	countLimit = 100_000
	countTime  = 2 * time.Second
)

// resendMessage sends one dead letter again. It needs no body.
func (s *Server) resendMessage(c *fiber.Ctx) error {
	resent, err := s.resendOne(strings.Clone(c.Params("id")))
	if err != nil {
		return err
	}
	became := resent.String()
	c.Status(fiber.StatusCreated)
	c.Set(fiber.HeaderLocation, messagesPath+"/"+became)
	answerID(c, became)
	return nil
}

// resendOne sends one dead letter again and returns what it became.
func (s *Server) resendOne(name string) (data.ID, error) {
	if err := s.accepting(); err != nil {
		return 0, err
	}
	id, err := data.ParseID(name)
	if err != nil {
		return 0, err
	}
	message, err := s.opts.Reader.Message(id)
	if err != nil {
		return 0, fmt.Errorf("read a message: %w", err)
	}
	// Asked of our copy. Whether it is so is for the store to say; this lets what
	// the message is count before what its gateway is.
	if err := message.Resend(id); err != nil {
		return 0, notResent(err, message.ResentAs)
	}
	if _, ok := s.opts.Gateways.Gateway(message.Gateway); !ok {
		return 0, data.ErrUnknownGateway
	}
	ctx := s.patience.context()
	resent, err := s.opts.Resender.Resend(ctx, []data.ID{id})
	if err != nil {
		return 0, fmt.Errorf("send a message again: %w", err)
	}
	if err := resent[0].Err; err != nil {
		return 0, notResent(err, resent[0].New)
	}
	return resent[0].New, nil
}

// notResent says why a message was not sent again, and what it became when that
// was done before.
func notResent(err error, as data.ID) error {
	if errors.Is(err, data.ErrResent) {
		return &rejection{kind: data.ErrResent, resentAs: as}
	}
	return fmt.Errorf("send a message again: %w", err)
}

// resendMessages counts dead letters, or sends one page of them again.
func (s *Server) resendMessages(c *fiber.Ctx) error {
	body, err := plainBody(c)
	if err != nil {
		return err
	}
	q, dry, err := decodeResend(body)
	if err != nil {
		return err
	}
	if dry {
		counted, err := s.countDead(q)
		if err != nil {
			return err
		}
		return answer(c, counted)
	}
	done, err := s.resendMatching(q)
	if err != nil {
		return err
	}
	return answer(c, done)
}

// resendMatching sends a page of dead letters again, or as much of it as fits into
// one commit.
func (s *Server) resendMatching(q data.MessageQuery) (resendAnswer, error) {
	if err := s.accepting(); err != nil {
		return resendAnswer{}, err
	}
	ctx := s.patience.context()
	done, err := s.resendBatch(ctx, q)
	// What is too long for one commit is not for two: a shorter page ends at
	// another cursor.
	for errors.Is(err, data.ErrTooLarge) && q.Limit > 1 && ctx.Err() == nil {
		q.Limit /= 2
		done, err = s.resendBatch(ctx, q)
	}
	return done, err
}

// resendAnswer says what became of a page.
type resendAnswer struct {
	Resent  int     `json:"resent"`
	Skipped int     `json:"skipped"` // their gateway is not declared, or somebody was faster
	Next    *string `json:"next"`
}

// resendBatch sends a page of dead letters again, in one commit.
func (s *Server) resendBatch(ctx context.Context, q data.MessageQuery) (resendAnswer, error) {
	page, err := s.opts.Reader.Messages(q)
	if err != nil {
		return resendAnswer{}, fmt.Errorf("find dead letters: %w", err)
	}
	declared := make(map[string]bool)
	ids := make([]data.ID, 0, len(page.Messages))
	for _, m := range page.Messages {
		ok, asked := declared[m.Gateway]
		if !asked {
			_, ok = s.opts.Gateways.Gateway(m.Gateway)
			declared[m.Gateway] = ok
		}
		if ok {
			ids = append(ids, m.ID)
		}
	}
	done := resendAnswer{Skipped: len(page.Messages)}
	if page.Next != "" {
		done.Next = new(page.Next)
	}
	if len(ids) == 0 {
		return done, nil
	}
	resent, err := s.opts.Resender.Resend(ctx, ids)
	if err != nil {
		return resendAnswer{}, fmt.Errorf("send %d messages again: %w", len(ids), err)
	}
	for _, one := range resent {
		if one.Err == nil {
			done.Resent++
			done.Skipped--
		}
	}
	return done, nil
}

// countAnswer says how many match.
type countAnswer struct {
	Matching int     `json:"matching"`
	Next     *string `json:"next"`
}

// countDead counts what matches, until there is no more or it was enough for one
// request; then next says where to go on.
func (s *Server) countDead(q data.MessageQuery) (counted countAnswer, err error) {
	q.Limit = maxLimit
	for began := s.opts.Now(); ; {
		page, err := s.opts.Reader.Messages(q)
		if err != nil {
			return countAnswer{}, fmt.Errorf("count dead letters: %w", err)
		}
		counted.Matching += len(page.Messages)
		if page.Next == "" {
			break
		}
		if counted.Matching >= countLimit || s.opts.Now().Sub(began) >= countTime {
			counted.Next = new(page.Next)
			break
		}
		q.After = page.Next
	}
	return counted, nil
}
