package packs

import (
	"context"
	"encoding/binary"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// opens counts how often each file of a directory is opened while something runs.
func opens(t *testing.T, dir string, run func() error) map[string]int {
	t.Helper()
	fd, err := unix.InotifyInit1(unix.IN_NONBLOCK | unix.IN_CLOEXEC)
	if err != nil {
		t.Skip(err)
	}
	defer unix.Close(fd)
	if _, err := unix.InotifyAddWatch(fd, dir, unix.IN_OPEN|unix.IN_CLOSE); err != nil { // the end of one use keeps two from being one event
		t.Skip(err)
	}
	if err := run(); err != nil {
		t.Fatal(err)
	}
	count := make(map[string]int)
	for buf := make([]byte, 64<<10); ; {
		n, err := unix.Read(fd, buf)
		if errors.Is(err, unix.EAGAIN) {
			return count
		}
		if err != nil {
			t.Fatal(err)
		}
		for rest := buf[:n]; len(rest) > 0; {
			mask, length := binary.NativeEndian.Uint32(rest[4:]), binary.NativeEndian.Uint32(rest[12:])
			name := strings.TrimRight(string(rest[unix.SizeofInotifyEvent:][:length]), "\x00")
			rest = rest[unix.SizeofInotifyEvent+length:]
			if mask&unix.IN_OPEN != 0 && mask&unix.IN_ISDIR == 0 && name != "" {
				count[name]++
			}
		}
	}
}

// TestInputsAreOpenedOnce counts how often the weights of a checkpoint, packs and patches are opened. An index and other
// files beside the weights may be opened more than once.
func TestInputsAreOpenedOnce(t *testing.T) {
	ctx := context.Background()
	in, o := t.TempDir(), options(nil, nil)
	out := t.TempDir()
	sharded := repeating(t) // of several shards, with tensors that repeat others
	if err := os.CopyFS(filepath.Join(in, "sharded"), os.DirFS(sharded)); err != nil {
		t.Fatal(err)
	}
	packs, folder := t.TempDir(), filepath.Join(in, "sharded")
	pack, patch, single := filepath.Join(packs, "m.weld"), filepath.Join(packs, "m.weldpatch"), filepath.Join(packs, "m.safetensors")
	shards, err := filepath.Glob(filepath.Join(folder, "*-of-*.safetensors"))
	if err != nil || len(shards) < 2 {
		t.Fatal(shards, err)
	}
	data, err := os.ReadFile(shards[0])
	if err != nil {
		t.Fatal(err)
	}
	put(t, single, data)
	all := make(map[string]int)
	for _, path := range shards {
		all[filepath.Base(path)] = 1
	}
	for _, step := range []struct {
		name, dir string
		run       func() error
		want      map[string]int
	}{
		{"pack", folder, func() error { _, err := Pack(ctx, folder, pack, o); return err }, all},
		{"pack by the index", folder, func() error {
			_, err := Pack(ctx, filepath.Join(folder, "model.safetensors.index.json"), filepath.Join(out, "2.weld"), o)
			return err
		}, all},
		{"pack a file", packs, func() error { _, err := Pack(ctx, single, filepath.Join(out, "3.weld"), o); return err }, map[string]int{"m.safetensors": 1}},
		{"pack a pack", packs, func() error { _, err := Pack(ctx, pack, filepath.Join(out, "4.weld"), o); return err }, map[string]int{"m.weld": 1}},
		{"unpack", packs, func() error { _, err := Unpack(ctx, pack, filepath.Join(out, "unpacked"), o); return err }, map[string]int{"m.weld": 1}},
		{"verify a pack", packs, func() error { _, err := Verify(ctx, pack, "", o); return err }, map[string]int{"m.weld": 1}},
		{"verify a checkpoint", folder, func() error { _, err := Verify(ctx, folder, "", o); return err }, all},
		{"patch", folder, func() error { _, err := Patch(ctx, folder, pack, patch, o); return err }, all},
		{"patch to", folder, func() error { _, err := Patch(ctx, pack, folder, filepath.Join(out, "5.weldpatch"), o); return err }, all},
		{"apply", packs, func() error {
			_, err := Apply(ctx, folder, []string{patch}, filepath.Join(out, "applied"), o)
			return err
		}, map[string]int{"m.weldpatch": 1}},
		{"verify a patch", packs, func() error { _, err := Verify(ctx, patch, folder, o); return err }, map[string]int{"m.weldpatch": 1}},
		{"salvage", packs, func() error { _, err := SalvagePack(ctx, pack, filepath.Join(out, "saved"), o); return err }, map[string]int{"m.weld": 1}},
	} {
		got := opens(t, step.dir, step.run)
		maps.DeleteFunc(got, func(name string, _ int) bool {
			return !strings.Contains(name, "-of-") && !strings.HasPrefix(name, "m.")
		})
		if !maps.Equal(got, step.want) {
			t.Errorf("%s opens %v, want %v", step.name, got, step.want)
		}
	}
}
