//go:build unix && !linux && !darwin

package mmapio

import "errors"

func exchange(_, _ string) error { return errors.ErrUnsupported }

func renameExclusive(_, _ string) error { return errors.ErrUnsupported }
