package mmapio

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// EnterGroup makes a memory cgroup of so many bytes and moves this process there. It needs the right to. In version 2, a group that has
// processes has no groups with limits inside, but for the root: then it is made beside the one that the process is in.
func EnterGroup(limit int64) (*MemoryGroup, error) {
	var failed error // the first
	for _, g := range memoryGroups(os.DirFS("/")) {
		own := g.dir
		if info, err := fs.Stat(os.DirFS("/"), own); err != nil || !info.IsDir() {
			own = g.top
		}
		for _, parent := range slices.Compact([]string{own, cmp.Or(above(own, g.top), own)}) {
			m, err := g.enter("/"+parent, "/"+own, limit)
			if err == nil {
				return m, nil
			}
			failed = cmp.Or(failed, err)
		}
	}
	return nil, cmp.Or(failed, errors.New("no memory cgroups are mounted"))
}

// above is the group that another is in; "" for the top.
func above(group, top string) string {
	if group == top {
		return ""
	}
	return path.Dir(group)
}

// enter makes a group inside a parent and moves the process there.
func (g *memoryGroup) enter(parent, own string, limit int64) (*MemoryGroup, error) {
	m := &MemoryGroup{Version: 1, Limit: limit, dir: filepath.Join(parent, fmt.Sprintf("weld-%d", os.Getpid())), before: own}
	if slices.Equal(g.limits, groupsV2.limits) {
		m.Version = 2
		if err := delegate(parent); err != nil {
			return nil, err
		}
	}
	_ = os.Remove(m.dir) // what a process of this number left that was killed: a group in use stays
	if err := os.Mkdir(m.dir, 0o755); err != nil {
		return nil, err
	}
	err := put(m.dir, g.limits[0], strconv.FormatInt(limit, 10))
	if err == nil {
		err = move(m.dir)
	}
	if err != nil {
		return nil, errors.Join(err, os.Remove(m.dir))
	}
	return m, nil
}

// delegate has the groups inside one of version 2 counted by memory, if they are not.
func delegate(parent string) error {
	const file = "cgroup.subtree_control"
	there, err := os.ReadFile(filepath.Join(parent, file))
	if err != nil || slices.Contains(strings.Fields(string(there)), "memory") {
		return err
	}
	return put(parent, file, "+memory")
}

// put writes into a file of a group, which is there where the directory is one.
func put(dir, file, text string) error {
	f, err := os.OpenFile(filepath.Join(dir, file), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

// move moves this process, with all its threads, into a group.
func move(dir string) error { return put(dir, "cgroup.procs", strconv.Itoa(os.Getpid())) }

// Leave returns to the group that was left, and removes this one.
func (m *MemoryGroup) Leave() error {
	if err := move(m.before); err != nil {
		return err
	}
	return os.Remove(m.dir)
}
