//go:build !linux

package mmapio

import "os"

// hasHoles is false where weld does not look for holes.
func hasHoles(os.FileInfo) bool { return false }

func (f *File) data(off, n int64) (begin, length int64, err error) { return off, n, nil }

func (f *File) hole(int64, int64) (v View, ok bool) { return View{}, false }
