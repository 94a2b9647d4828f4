//go:build !linux

package mmapio

import "errors"

func exchange(_, _ string) error { return errors.ErrUnsupported }
