package deepspeed

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"weld/format"
)

// Names in a training's directory.
const (
	latestName          = "latest"
	latestUniversalName = "latest_universal"
	scriptName          = "zero_to_fp32.py"
	universalFolder     = "zero" // in the directory of a checkpoint
	maxTag              = 4 << 10
)

// The names of files: the rank of a partition, where there is one, and that of the model's parts.
var (
	optimName  = regexp.MustCompile(`^(?:bf16_|fp16_)?zero_pp_rank_(\d{1,6})_mp_rank_(\d{1,6})_?optim_states\.pt$`)
	modelName  = regexp.MustCompile(`^(?:zero_pp_rank_(\d{1,6})_)?mp_rank_(\d{1,6})(?:_\d+)?_model_states\.pt$`)
	expertName = regexp.MustCompile(`^(?:layer_\d+_)?expert_\d+_mp_rank_\d+_model_states\.pt$|^expp_rank_\d+_mp_rank_\d+_optim_states\.pt$`)
	layerName  = regexp.MustCompile(`^layer_\d+-model_\d+-model_states\.pt$`)
)

// IsPart reports whether a file name is that of one rank's part of a checkpoint, which says little by itself.
func IsPart(name string) bool {
	name = filepath.Base(name)
	return optimName.MatchString(name) || modelName.MatchString(name) && strings.HasPrefix(name, "zero_")
}

// IsTag reports whether a directory is one checkpoint of a training.
func IsTag(dir format.Folder) bool {
	entries, _ := dir.ReadDir(".")
	for _, e := range entries {
		switch name := e.Name(); {
		case !e.IsDir() && (optimName.MatchString(name) || modelName.MatchString(name)):
			return true
		case name == universalFolder && isUniversal(dir):
			return true
		}
	}
	return false
}

// isUniversal reports whether a directory has whole parameters in directories of their own.
func isUniversal(dir format.Folder) bool {
	entries, _ := dir.ReadDir(universalFolder)
	return slices.ContainsFunc(entries, func(e fs.DirEntry) bool {
		info, err := dir.Stat(path.Join(universalFolder, e.Name(), weightsName))
		return err == nil && info.Mode().IsRegular()
	})
}

// IsTraining reports whether a directory is that in which a training leaves its checkpoints.
func IsTraining(dir format.Folder) bool {
	for _, name := range []string{latestName, latestUniversalName} {
		if tag, err := tagIn(dir, name); err == nil && tag != "" {
			if at, err := dir.Sub(tag); err == nil && IsTag(at) {
				return true
			}
		}
	}
	if info, err := dir.Stat(scriptName); err == nil && info.Mode().IsRegular() {
		return true
	}
	info, err := dir.Stat(latestName)
	return err == nil && info.Mode().IsRegular() && holdsTag(dir)
}

// holdsTag reports whether a directory has one of a checkpoint in it, whatever latest says.
func holdsTag(dir format.Folder) bool {
	entries, _ := dir.ReadDir(".")
	return slices.ContainsFunc(entries, func(e fs.DirEntry) bool {
		at, err := dir.Sub(e.Name())
		return e.IsDir() && err == nil && IsTag(at)
	})
}

// tagIn is the name that a file latest has; "" where there is no such file.
func tagIn(dir format.Folder, name string) (string, error) {
	info, err := dir.Stat(name)
	if err != nil || !info.Mode().IsRegular() {
		return "", nil
	}
	raw, err := dir.Bytes(name, maxTag)
	if err != nil {
		return "", err
	}
	tag := strings.TrimSpace(string(raw))
	if fault := format.NameFault(tag); fault != "" {
		return "", &format.Error{Path: dir.Join(name), Kind: format.KindShardName, Detail: fmt.Sprintf("expected the name of a directory, found %q, which %s", excerpt(tag), fault)}
	}
	return tag, nil
}

// place is where a checkpoint is.
type place struct {
	root   format.Folder // what the user named
	prefix string        // of the checkpoint's files in it: "global_step500/", or nothing
	dir    format.Folder // the checkpoint's directory
	beside format.Folder // where configuration and tokenizer are
	notes  []string
}

// locate finds the checkpoint that a directory is, or that its file latest names.
func locate(root format.Folder) (*place, error) {
	if IsTag(root) {
		return &place{root: root, dir: root, beside: above(root)}, nil
	}
	for _, name := range []string{latestName, latestUniversalName} {
		tag, err := tagIn(root, name)
		switch {
		case err != nil:
			return nil, err
		case tag == "":
			continue
		}
		dir, err := root.Sub(tag)
		if err == nil && !IsTag(dir) {
			err = &format.Error{Path: root.Join(tag), Kind: format.KindMissing, Detail: fmt.Sprintf("%s names this checkpoint, and it is not there, or has no file of DeepSpeed's%s", name, others(root))}
		}
		if err != nil {
			return nil, err
		}
		p := &place{root: root, prefix: tag + "/", dir: dir, beside: root}
		p.notes = append(p.notes, fmt.Sprintf("%s: the checkpoint is %s, which %s names", root.Path(), tag, name))
		return p, nil
	}
	return nil, &format.Error{Path: root.Join(latestName), Kind: format.KindMissing, Detail: "no such file, which names the checkpoint of a training with DeepSpeed" + others(root)}
}

// others lists the checkpoints in a training's directory, for messages.
func others(root format.Folder) string {
	entries, _ := root.ReadDir(".")
	var tags []string
	for _, e := range entries {
		if dir, err := root.Sub(e.Name()); err == nil && e.IsDir() && IsTag(dir) {
			tags = append(tags, root.Join(e.Name()))
		}
	}
	if len(tags) == 0 {
		return ""
	}
	return "; there are " + someOf(tags) + ": name the one that is meant"
}

// above is the directory of the training that a checkpoint is of, if it is in one; else its own. What is in a pack has none above it.
func above(dir format.Folder) format.Folder {
	if info, err := os.Stat(dir.Path()); err != nil || !info.IsDir() {
		return dir
	}
	parent := format.Directory(filepath.Dir(filepath.Clean(dir.Path())))
	if tag := filepath.Base(filepath.Clean(dir.Path())); tag != "." && tag != ".." && tag != string(os.PathSeparator) && IsTraining(parent) {
		return parent
	}
	return dir
}

// files are those of a checkpoint, by their ranks.
type files struct {
	model     map[int]string // of rank −1, in stages 0 to 2
	optim     map[int]string
	universal bool
}

// list finds the files of a checkpoint. Those that nothing puts together are refused.
func (p *place) list() (files, error) {
	f := files{model: make(map[int]string), optim: make(map[int]string), universal: isUniversal(p.dir)}
	entries, err := p.dir.ReadDir(".")
	if err != nil {
		return f, err
	}
	for _, e := range entries {
		name := e.Name()
		switch of, m := modelName.FindStringSubmatch(name), optimName.FindStringSubmatch(name); {
		case e.IsDir():
		case expertName.MatchString(name):
			return f, p.fault(format.KindUnsupported, "experts are in files of their own (%s), which weld does not put together: load the checkpoint in its training, and save the model's state_dict", name)
		case layerName.MatchString(name):
			return f, p.fault(format.KindUnsupported, "layers of a pipeline are in files of their own (%s), whose parameters have numbers for names: load the checkpoint in its training, and save the model's state_dict", name)
		case of != nil:
			if n, _ := strconv.Atoi(of[2]); n != 0 && f.universal {
				return f, p.fault(format.KindUnsupported, "%s is of another part of the model, by tensor or pipeline parallelism, and says nothing of whole parameters: put the files *mp_rank_*_model_states.pt elsewhere, and parameters are taken as they are in %s", name, universalFolder)
			}
			err = p.enter(f.model, name, of[1], of[2])
		case m != nil:
			err = p.enter(f.optim, name, m[1], m[2])
		}
		if err != nil {
			return f, err
		}
	}
	return f, nil
}

// enter keeps a file by its rank.
func (p *place) enter(list map[int]string, name, rank, part string) error {
	if n, _ := strconv.Atoi(part); n != 0 {
		return p.fault(format.KindUnsupported, "%s is of another part of the model, by tensor or pipeline parallelism; to put them together, run: %s", name, p.universalCommand())
	}
	n := -1
	if rank != "" {
		n, _ = strconv.Atoi(rank)
	}
	if other, twice := list[n]; twice {
		return p.fault(format.KindIndex, "%s and %s are both of rank %d: one of them is of another checkpoint", other, name, n)
	}
	list[n] = name
	return nil
}

// universalCommand is what makes whole parameters of a checkpoint.
func (p *place) universalCommand() string {
	return fmt.Sprintf("python -m deepspeed.checkpoint.ds_to_universal --input_folder %s --output_folder %s, and take what it writes, without the files *_model_states.pt in it", format.Quoted(p.dir.Path()), format.Quoted(filepath.Clean(p.dir.Path())+"_universal"))
}

func (p *place) fault(kind format.Kind, text string, args ...any) error {
	return &format.Error{Path: p.dir.Path(), Kind: kind, Detail: fmt.Sprintf(text, args...)}
}

// ranks are the names of the files of ranks 0 to n−1.
func (p *place) ranks(list map[int]string, what string) ([]string, error) {
	names := make([]string, 0, len(list))
	for rank := range len(list) {
		name, ok := list[rank]
		if !ok {
			return nil, p.fault(format.KindMissing, "%d %s are there, and that of rank %d is not", len(list), what, rank)
		}
		names = append(names, name)
	}
	return names, nil
}

// someOf names up to three things.
func someOf(names []string) string {
	const most = 3
	if len(names) > most {
		return fmt.Sprintf("%s, … (%d)", strings.Join(names[:most], ", "), len(names))
	}
	return strings.Join(names, ", ")
}

// excerpt is the beginning of a text, for messages.
func excerpt(s string) string {
	const most = 100
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}
