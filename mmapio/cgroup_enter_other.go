//go:build !linux

package mmapio

import "errors"

// EnterGroup fails: there are no cgroups on this system.
func EnterGroup(int64) (*MemoryGroup, error) { return nil, errors.New("this system has no cgroups") }

// Leave does nothing.
func (*MemoryGroup) Leave() error { return nil }
