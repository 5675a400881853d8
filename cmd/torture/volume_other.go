//go:build !linux

package main

import (
	"errors"
	"os"
)

var errElsewhere = errors.New("it takes Linux")

func own(string) (*os.File, error)   { return nil, errElsewhere }
func mounted(string) bool            { return false }
func unmount(string) error           { return nil }
func (*volume) shutdown() error      { return errElsewhere }
func (*volume) free() (int64, error) { return 0, errElsewhere }
func (*volume) occupy(int64) error   { return errElsewhere }
func (*volume) vacate() error        { return errElsewhere }
