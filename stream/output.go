package stream

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/dustin/go-humanize"

	"weld/format"
	"weld/format/hub"
	"weld/format/lora"
	"weld/format/open"
	"weld/format/packed"
	"weld/format/patch"
	"weld/format/safetensors"
	"weld/format/seekzstd"
	"weld/mmapio"
	"weld/stream/destination"
)

// RecipeName is the file in an output directory that holds the recipe.
const RecipeName = "weld_recipe.yml"

// target is where an output goes.
type target struct {
	container destination.Container
	layout    *safetensors.Layout // whose tensors are those of the plan
	sidecars  []string            // carried from beside the reference
	carried   int64               // bytes of them
	size      int64
}

// stored is how many bytes a compressed output has; 0 if it is none, or not there.
func (t *target) stored(out string) int64 {
	if t.container.Block() == 0 {
		return 0
	}
	info, err := os.Stat(out)
	if err != nil {
		return 0
	}
	return info.Size()
}

// layOut places every tensor in the output, and orders the plan by it.
func (p *Plan) layOut() error {
	if p.Out == "" {
		return nil
	}
	t := &p.target
	limit := p.Options.ShardSize
	if !t.container.HoldsFiles() {
		limit = safetensors.OneShard
	}
	metadata, err := p.metadata()
	if err != nil {
		return err
	}
	described := func(i int) format.Tensor { return p.Tensors[i].Tensor }
	if t.layout, err = safetensors.Lay(len(p.Tensors), described, metadata, limit); err != nil {
		return fmt.Errorf("output %s: %w", p.Out, err)
	}
	if order := t.layout.Order(); !slices.IsSorted(order) {
		ordered := make([]Output, len(p.Tensors))
		for at, i := range order {
			ordered[at] = p.Tensors[i]
		}
		p.Tensors = ordered
	}
	t.layout.Settle()
	t.size = t.layout.Size()
	if err := p.checkSpace(); err != nil { // before what lies beside the reference is looked at
		return err
	}
	if err := p.listSidecars(); err != nil {
		return err
	}
	return p.checkSpace()
}

// checkSpace demands that the disk can hold the output.
func (p *Plan) checkSpace() error {
	parent := filepath.Dir(filepath.Clean(p.Out))
	if free, ok := mmapio.FreeSpace(parent); ok && free < p.target.leastSize() {
		return fmt.Errorf("output %s: %s are needed, %s are free in %s", p.Out, humanize.Bytes(uint64(p.target.leastSize())), humanize.Bytes(uint64(free)), parent)
	}
	return nil
}

// metadata is what the output says about itself.
func (p *Plan) metadata() (map[string]string, error) {
	type input struct {
		Role        string `json:"role"`
		Path        string `json:"path"`
		Bytes       int64  `json:"bytes"`
		Fingerprint string `json:"fingerprint"`
	}
	var inputs []input
	for i := range p.Sources {
		s := &p.Sources[i]
		in := input{Role: s.Role, Path: s.Path}
		for _, f := range s.Files() {
			in.Bytes += f.Info.Size()
		}
		var err error
		if in.Fingerprint, err = fingerprint(s); err != nil {
			return nil, err
		}
		inputs = append(inputs, in)
	}
	list, err := json.Marshal(inputs)
	if err != nil {
		panic(err) // strings and numbers always marshal
	}
	return map[string]string{
		"format":       "pt",
		"weld.version": p.Options.Version,
		"weld.recipe":  string(p.Recipe.YAML()),
		"weld.inputs":  string(list),
	}, nil
}

// checkPlace demands that the output can be put where it is wanted.
func (p *Plan) checkPlace() error {
	if p.Out == "" {
		return nil
	}
	var err error
	if p.target.container, err = destination.ContainerOf(p.Out); err != nil {
		return err
	}
	if p.target.container == destination.Patch && p.Recipe.Base == "" {
		return fmt.Errorf("output %s: a patch is made against the base, and the recipe has no base model", p.Out)
	}
	check := destination.Output{Name: p.Out, Kind: p.target.container.Kind(), Force: p.Options.Force}
	for i := range p.Sources {
		in := &p.Sources[i]
		check.Inputs = append(check.Inputs, destination.Input{Role: in.Role, Path: in.Path, Files: in.Files()})
	}
	if p.Options.Resume {
		if check.Resume = p.Options.FS; check.Resume == nil {
			check.Resume = mmapio.OS
		}
	}
	return check.Check()
}

// listSidecars finds the files that a directory carries over from the reference.
func (p *Plan) listSidecars() error {
	beside := format.Beside(p.reference().Checkpoint)
	if !p.target.container.HoldsFiles() {
		if len(p.files) > 0 {
			p.note("output %s: the recipe's tokenizer goes into an output directory only; a file holds the tensors alone", p.Out)
		}
		return nil
	}
	if !beside.Exists() {
		return nil
	}
	files, skipped, err := hub.Sidecars(beside)
	if err != nil {
		return fmt.Errorf("list the files beside %s: %w", p.reference().Path, err)
	}
	if slices.Contains(files, lora.ConfigName) {
		p.note("%s: an adapter lies beside the model and is no part of it: %s is not carried to the output", p.reference().Path, lora.ConfigName)
	}
	p.target.sidecars = slices.DeleteFunc(files, func(name string) bool {
		return name == RecipeName || name == lora.ConfigName || p.replaced(name) || name == hub.QuantConfigName && len(p.reference().stale) > 0
	})
	p.noteStale()
	if err := errors.Join(p.checkCarried(beside, p.target.sidecars), p.checkConfig(beside)); err != nil {
		return err
	}
	for _, name := range skipped {
		p.note("%s: the directory %s is not carried to the output", p.reference().Path, name)
	}
	return nil
}

// checkConfig says what of a config.json will not fit the output.
func (p *Plan) checkConfig(beside format.Folder) error {
	if len(p.restacked) == 0 {
		return nil
	}
	config, err := beside.Read(hub.ConfigName, hub.MaxSidecar)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil // there is none in the output either
	case err != nil:
		return fmt.Errorf("read the configuration of %s: %w", p.reference().Path, err)
	}
	_, left, err := p.restack(config)
	for _, line := range left {
		p.note("%s: %s: %s", p.reference().Path, hub.ConfigName, line)
	}
	if err != nil {
		return err
	}
	return p.checkKinds(config)
}

// leastSize is the disk space that the output surely takes.
func (t *target) leastSize() int64 {
	switch t.container {
	case destination.Compressed:
		return t.size / 2 // weights compress to between 66% and 90%
	case destination.Pack:
		return t.size / 4 // float32 that holds bfloat16 takes a third
	case destination.Patch:
		return 0
	}
	return t.size + t.carried
}

// output is an output being written.
type output struct {
	format.Writer
	plan  *Plan
	stage *mmapio.Staging
	pack  packWriter        // nil if the output is neither pack nor patch
	base  format.Checkpoint // of a patch
}

// create begins the output: files of the final size, headers in place.
func (p *Plan) create() (*output, error) {
	stage, err := mmapio.NewStaging(p.Options.FS, p.Out, p.target.container.Kind())
	if err != nil {
		return nil, err
	}
	o := &output{plan: p, stage: stage}
	targets, err := o.targets()
	if err == nil {
		o.Writer, err = safetensors.NewWriter(p.target.layout, targets)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("create output %s: %w", p.Out, err), stage.Discard())
	}
	return o, nil
}

// targets opens one target for each shard.
func (o *output) targets() ([]safetensors.Target, error) {
	t := &o.plan.target
	if t.container == destination.Compressed {
		file, err := o.stage.Create(filepath.Base(o.plan.Out), 0)
		if err != nil {
			return nil, err
		}
		z, err := seekzstd.NewWriter(file, t.layout.Cuts(destination.FrameContent), o.plan.Budget.Workers)
		return []safetensors.Target{z}, err
	}
	if t.container.Packs() {
		return o.packTargets()
	}
	var targets []safetensors.Target
	for _, s := range t.layout.Shards {
		name := s.Name
		if t.container == destination.SingleFile {
			name = filepath.Base(o.plan.Out)
		}
		file, err := o.stage.Create(name, s.Size)
		if err != nil {
			return nil, err
		}
		targets = append(targets, file)
	}
	return targets, nil
}

// packWriter is a pack or a patch being written.
type packWriter interface {
	Shard(name string, header int64, tensors []format.Tensor, given []byte) (*packed.FileWriter, error)
	Small(name string, data []byte) error
	Complete() error
}

// packTargets begins a pack or a patch, with all shards in it.
func (o *output) packTargets() ([]safetensors.Target, error) {
	t := &o.plan.target
	file, err := o.stage.Create(filepath.Base(o.plan.Out), 0)
	if err != nil {
		return nil, err
	}
	if t.container == destination.Patch {
		// Opened once more: the plan may see the base with adapters and another vocabulary.
		if o.base, err = open.Checkpoint(o.plan.Recipe.Base, o.plan.Options.Read); err != nil {
			return nil, err
		}
		o.pack = patch.NewWriter(file, o.plan.Budget.Workers, o.base, nil)
	} else {
		o.pack = packed.NewWriter(file, o.plan.Budget.Workers)
	}
	var targets []safetensors.Target
	for i, s := range t.layout.Shards {
		var tensors []format.Tensor
		for _, out := range o.plan.Tensors[s.First:s.Last] {
			tensors = append(tensors, out.Tensor)
		}
		target, err := o.pack.Shard(s.Name, s.HeaderSize, tensors, t.layout.Header(i))
		if err != nil {
			return nil, err
		}
		targets = append(targets, target)
	}
	return targets, nil
}

// WriteAt writes bytes of a planned tensor.
func (o *output) WriteAt(tensor int, off int64, p []byte) error {
	if err := o.Writer.WriteAt(tensor, off, p); err != nil {
		return fmt.Errorf("write tensor %q of %s: %w", o.plan.Tensors[tensor].Name, o.plan.Out, err)
	}
	return nil
}

// CopyAt copies bytes of a planned tensor from a file.
func (o *output) CopyAt(tensor int, off int64, src *mmapio.File, from, n int64) error {
	err := o.Writer.CopyAt(tensor, off, src, from, n)
	if err != nil && !errors.Is(err, errors.ErrUnsupported) {
		err = fmt.Errorf("copy tensor %q of %s: %w", o.plan.Tensors[tensor].Name, o.plan.Out, err)
	}
	return err
}

// commit completes the output and puts it into place, the small files and the index
// included.
func (o *output) commit(ctx context.Context) error {
	defer o.close()
	if err := o.Close(); err != nil {
		return errors.Join(fmt.Errorf("complete output %s: %w", o.plan.Out, err), o.stage.Discard())
	}
	if err := o.complete(ctx); err != nil {
		return errors.Join(fmt.Errorf("complete output %s: %w", o.plan.Out, err), o.stage.Discard())
	}
	if err := o.stage.SyncUntil(ctx); err != nil {
		return errors.Join(fmt.Errorf("complete output %s: %w", o.plan.Out, err), o.stage.Discard())
	}
	return o.stage.Commit(o.plan.Options.Force, func(name string) bool { return hub.IsWeights(name) })
}

// complete adds what comes after the tensors.
func (o *output) complete(ctx context.Context) error {
	if o.plan.target.container.HoldsFiles() {
		if err := o.writeSidecars(ctx); err != nil {
			return err
		}
	}
	if o.pack == nil {
		return nil
	}
	err := o.pack.Complete()
	if err == nil && o.base != nil {
		err = format.Unchanged(o.base)
	}
	return err
}

// close closes what only the output needs.
func (o *output) close() error {
	if o.base == nil {
		return nil
	}
	base := o.base
	o.base = nil
	return base.Close()
}

// writeSidecars writes everything in a directory but the weights; the index last.
func (o *output) writeSidecars(ctx context.Context) error {
	p := o.plan
	for _, name := range p.target.sidecars {
		if err := o.carry(ctx, name); err != nil {
			return fmt.Errorf("carry %s of %s: %w", name, p.reference().Path, err)
		}
	}
	for _, name := range p.fileNames() {
		if err := o.writeSmall(name, bytes.NewReader(p.files[name])); err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
	}
	if err := o.writeSmall(RecipeName, bytes.NewReader(p.Recipe.YAML())); err != nil {
		return err
	}
	if index := p.target.layout.Index(); index != nil {
		return o.writeSmall(safetensors.IndexName, index)
	}
	return nil
}

// carry copies one of the small files; config.json follows what the output is.
func (o *output) carry(ctx context.Context, name string) error {
	beside := format.Beside(o.plan.reference().Checkpoint)
	if name == hub.ConfigName {
		data, err := beside.Read(name, hub.MaxSidecar)
		if err != nil {
			return err
		}
		if data, err = o.plan.configure(data); err != nil {
			return err
		}
		return o.writeSmall(name, bytes.NewReader(data))
	}
	src, err := beside.Open(name)
	if err != nil {
		return err
	}
	defer src.Close()
	return o.writeSmall(name, interruptible{ctx, src})
}

// configure rewrites what a config.json says of dtype, vocabulary and layers.
func (p *Plan) configure(config []byte) ([]byte, error) {
	if p.Recipe.DType != format.Invalid {
		config = hub.SetDType(config, p.Recipe.DType)
	}
	if p.unties() {
		config = hub.SetUntied(config)
	}
	if p.rows > 0 {
		config = hub.SetVocabSize(config, p.rows)
	}
	if len(p.reference().stale) > 0 {
		config = hub.DropQuantization(config)
	}
	config, _, err := p.restack(config)
	return config, err
}

// interruptible is a reader that ends with a context: what lies beside weights need not be small.
type interruptible struct {
	ctx context.Context
	io.Reader
}

func (r interruptible) Read(p []byte) (int, error) {
	if err := context.Cause(r.ctx); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}

func (o *output) writeSmall(name string, data io.Reader) error {
	if o.pack != nil {
		all, err := io.ReadAll(data)
		if err != nil {
			return err
		}
		return o.pack.Small(name, all)
	}
	f, err := o.stage.Create(filepath.FromSlash(name), 0)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, data)
	return err
}

// discard gives the output up.
func (o *output) discard(cause error) error {
	o.Abort(cause)
	return errors.Join(o.stage.Discard(), o.close())
}
