package moments

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"weld/format"
	"weld/format/dcp"
	"weld/format/deepspeed"
	"weld/format/open"
	"weld/format/torch"
	"weld/mmapio"
)

// The files in which trainers save an optimizer: the Trainer of transformers, and Accelerate for FSDP.
var fileNames = []string{"optimizer.pt", "optimizer.bin"}

// Open opens an optimizer's second moments: a directory of a trainer, a file in which an optimizer is saved, or a checkpoint of
// torch.distributed.checkpoint that has one. What is none of these is nobody's: no checkpoint, and no error.
func Open(name string, how ...mmapio.Reading) (format.Checkpoint, error) {
	path, key := open.Apart(name)
	info, err := os.Stat(path)
	if err != nil {
		return nil, nil
	}
	dir := format.Directory(path)
	switch {
	case !info.IsDir():
		return openFile(path, key, how)
	case dcp.IsFolder(dir):
		return openNamed(path, key, how)
	case deepspeed.IsTag(dir):
		return openDeepSpeed(dir, how)
	}
	for _, file := range fileNames {
		inside := filepath.Join(path, file)
		if _, err := os.Lstat(inside); err == nil {
			c, err := openFile(inside, key, how)
			if c == nil && err == nil {
				err = &format.Error{Path: inside, Kind: format.KindUnsupported, Detail: "no state_dict of one optimizer, with state and param_groups, is in it" + elsewhere}
			}
			return c, err
		}
	}
	if inside := filepath.Join(path, shardedName); dcp.IsFolder(format.Directory(inside)) {
		return openNamed(inside, key, how)
	}
	if deepspeed.IsTraining(dir) {
		return openDeepSpeed(dir, how)
	}
	return nil, leftBehind(path)
}

// shardedName is where Accelerate saves an optimizer of FSDP in shards.
const shardedName = "optimizer_0"

// elsewhere says why weights beside no optimizer are not taken for importance.
const elsewhere = "; the weights beside it are no importance"

// leftBehind refuses a directory of a trainer without an optimizer that weld reads: the weights in it would be taken for importance.
func leftBehind(path string) error {
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil // whoever opens it as a checkpoint says so
	}
	for _, e := range entries {
		switch name := e.Name(); {
		case strings.HasPrefix(name, "global_step"):
			return &format.Error{Path: path, Kind: format.KindUnsupported, Detail: "its optimizer is DeepSpeed's, and no file latest names its directory: name it, " + filepath.Join(path, name) + elsewhere}
		case name == "trainer_state.json", name == "training_args.bin", name == "scheduler.pt", strings.HasPrefix(name, "optimizer"):
			return &format.Error{Path: path, Kind: format.KindMissing, Detail: "a training's checkpoint (" + name + ") without an optimizer that weld reads: optimizer.pt, optimizer.bin, or " + shardedName + elsewhere}
		}
	}
	return nil
}

// openFile opens a file that torch.save wrote, if an optimizer is in it.
func openFile(path, key string, how []mmapio.Reading) (format.Checkpoint, error) {
	if !torch.IsFile(path) || torch.IsIndex(path) {
		return nil, nil
	}
	src, err := open.Source(path, how...)
	if err != nil {
		return nil, err
	}
	saved, err := torch.Read(path, src, 0, src.Size(), nil)
	if err = errors.Join(err, src.Close()); err != nil {
		return nil, err
	}
	value, within, ok := torch.Optimizer(saved.Value, key)
	if !ok {
		return nil, nil
	}
	raw, err := open.Checkpoint(path+"#"+cmp.Or(within, torch.Whole), how...)
	if err != nil {
		return nil, err
	}
	s := &states{path: path, raw: raw, groups: groupsOf(value), steps: stepsOf(value)}
	return s.finish(func() ([]string, error) { return s.named(filepath.Dir(path), how) })
}

// openNamed opens a checkpoint whose states have the names of parameters, if there are any.
func openNamed(path, key string, how []mmapio.Reading) (format.Checkpoint, error) {
	raw, err := open.Checkpoint(path+"#"+cmp.Or(key, torch.Whole), how...)
	if err != nil {
		return nil, err
	}
	for _, t := range raw.Tensors() {
		if _, _, _, ok := partOf(t.Name); ok {
			s := &states{path: path, raw: raw}
			return s.finish(nil)
		}
	}
	return nil, raw.Close()
}

// Of shows the second moments in a checkpoint of states that have the names of parameters. It closes what it cannot show, and closing what
// it returns closes c.
func Of(c format.Checkpoint) (format.Checkpoint, error) {
	s := &states{path: c.Path(), raw: c, notes: format.Notes(c)}
	return s.finish(nil)
}

// states are those of an optimizer, as they were saved.
type states struct {
	path   string
	raw    format.Checkpoint
	groups []group            // nil where the file does not say
	steps  map[string]float64 // of parameters whose steps are no tensors: before torch 1.12
	params []param
	rising bool     // no group says so, but factors tell Adafactor
	notes  []string // of raw, where it is not opened here: what a reader of weights says of an optimizer leads nowhere
}

// param is what an optimizer keeps of a parameter: tensors of raw, by what they are.
type param struct {
	key   string // its name, or its number
	parts map[string]int
}

// finish shows the second moments. names gives the names of parameters that are numbers, in the order of the numbers.
func (s *states) finish(names func() ([]string, error)) (format.Checkpoint, error) {
	c, err := s.show(names)
	if err != nil {
		return nil, errors.Join(err, s.raw.Close())
	}
	return c, nil
}

func (s *states) show(names func() ([]string, error)) (format.Checkpoint, error) {
	if err := s.collect(); err != nil {
		return nil, err
	}
	if len(s.params) == 0 {
		return nil, s.fault(format.KindUnsupported, "", "no state of a parameter is in it that weld knows: %s", strings.Join(kinds, ", "))
	}
	called := make([]string, len(s.params))
	for i, p := range s.params {
		called[i] = p.key
	}
	if s.numbered() && names != nil {
		var err error
		if called, err = names(); err != nil {
			return nil, err
		}
	}
	if err := s.checkAdapter(called); err != nil {
		return nil, err
	}
	return s.view(called)
}

// collect gathers what belongs to each parameter, in the order in which they are first named.
func (s *states) collect() error {
	at := make(map[string]int)
	optimizer := ""
	for i, t := range s.raw.Tensors() {
		if rotated.MatchString(t.Name) {
			return s.fault(format.KindUnsupported, t.Name, "SOAP and Shampoo keep second moments in a basis of their own, which are no parameter's")
		}
		of, key, kind, ok := partOf(t.Name)
		if !ok {
			continue
		}
		if len(s.params) == 0 {
			optimizer = of
		} else if of != optimizer {
			return s.fault(format.KindIndex, "", "two optimizers are in it, %q and %q: name the one that is meant behind a #", optimizer, of)
		}
		k, seen := at[key]
		if !seen {
			k = len(s.params)
			at[key], s.params = k, append(s.params, param{key, make(map[string]int)})
		}
		s.params[k].parts[kind] = i
		_, _, factored, _ := s.params[k].factors()
		s.rising = s.rising || factored
	}
	return nil
}

// numbered reports whether parameters have numbers and no names.
func (s *states) numbered() bool {
	for _, p := range s.params {
		if strings.Trim(p.key, "0123456789") != "" {
			return false
		}
	}
	return true
}

func (s *states) fault(kind format.Kind, tensor, text string, args ...any) error {
	return &format.Error{Path: s.path, Tensor: tensor, Kind: kind, Detail: fmt.Sprintf(text, args...)}
}
