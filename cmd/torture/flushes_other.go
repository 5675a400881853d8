//go:build !linux

package main

import (
	"errors"

	"github.com/postrider/postrider/cmd/internal/rig"
)

var errLinux = errors.New("flushes can be held on Linux only")

func canTap() error { return errLinux }

func runTapped([]string) error { return errLinux }

type handover struct{ name string }

func newHandover(*round) (*handover, error) { return nil, errLinux }

func (*handover) close() error { return nil }

func (*tap) take(*handover, *rig.Child) error { return errLinux }
