package main

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"

	"weld/format"
	"weld/format/safetensors"
)

// The pages are true: their links lead somewhere, and what they tell the reader to type does what they say. Of the fenced
// blocks of README.md and docs/,
//
//	sh       is typed: each command that runs weld must succeed. Others (git, go, python) are left alone.
//	console  is a session: a line that begins with "$ " is typed, and what weld says must be what follows it, up to the
//	         next such line. A … stands for any text, a line of it for any number of lines; seconds are not compared.
//	         The command fails if a line of that is a message of weld's, and no note.
//	yaml     with a merge_method is a recipe: it is written to recipe.yml, for the commands behind it, and planned.
//
// Every page begins with the files of [scene] in an empty directory.

const repository = "../.."

// pages lists README.md and the pages of docs, by their paths from the root.
func pages(t *testing.T) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(repository, "docs", "*.md"))
	if err != nil || len(found) < 5 {
		t.Fatalf("%d pages in docs: %v", len(found), err)
	}
	names := []string{"README.md"}
	for _, more := range []string{"CHANGELOG.md", "SECURITY.md"} {
		if _, err := os.Stat(filepath.Join(repository, more)); err == nil {
			names = append(names, more)
		}
	}
	for _, path := range found {
		names = append(names, "docs/"+filepath.Base(path))
	}
	return names
}

// block is one fenced block of a page.
type block struct {
	language string
	line     int // of its first line in the page
	text     string
}

var fenced = regexp.MustCompile("(?ms)^```([a-z]*)\n(.*?)^```$")

func blocks(page string) (list []block) {
	for _, m := range fenced.FindAllStringSubmatchIndex(page, -1) {
		list = append(list, block{page[m[2]:m[3]], 1 + strings.Count(page[:m[4]], "\n"), page[m[4]:m[5]]})
	}
	return list
}

func TestPagesDoWhatTheySay(t *testing.T) {
	if testing.Short() {
		t.Skip("types every command of the documents")
	}
	if _, err := exec.LookPath("sh"); err != nil || runtime.GOOS == "windows" {
		t.Skip("no shell to type into")
	}
	typed := 0
	for _, name := range pages(t) {
		t.Run(name, func(t *testing.T) {
			data, err := os.ReadFile(filepath.Join(repository, name))
			if err != nil {
				t.Fatal(err)
			}
			r := newReader(t, name)
			for _, b := range blocks(string(data)) {
				switch {
				case b.language == "sh":
					r.commands(b)
				case b.language == "console":
					r.session(b)
				case b.language == "yaml" && strings.Contains(b.text, "merge_method:"):
					r.recipe(b)
				}
			}
			typed += r.typed
		})
	}
	if typed < 60 {
		t.Errorf("only %d commands were typed: are the blocks still found?", typed)
	}
}

// reader is somebody who does what a page says.
type reader struct {
	*testing.T
	page, dir string
	env       []string
	typed     int
}

func newReader(t *testing.T, page string) *reader {
	t.Helper()
	dir := t.TempDir()
	scene(t, dir)
	path := filepath.Join(dir, ".bin") + string(os.PathListSeparator) + os.Getenv("PATH")
	if bin := foreignBinary(t); bin != "" {
		path = bin + string(os.PathListSeparator) + path
	}
	env := append(os.Environ(), "HF_HUB_CACHE="+filepath.Join(dir, ".hub"), "PATH="+path)
	return &reader{T: t, page: page, dir: dir, env: env}
}

// inTheWay is what weld says of an output that is there already: a page writes ./merged more than once, and a reader
// takes another name or moves the old one away.
var inTheWay = regexp.MustCompile(`(?m)^weld: output (\S+) already exists`)

// shell runs a command line; what it prints on both streams comes back. An output that is in the way is removed, unless
// that is the point.
func (r *reader) shell(line string, inTheWayMeant ...bool) (string, error) {
	r.Helper()
	r.typed++
	for range 8 {
		command := exec.Command("sh", "-ec", line)
		command.Dir, command.Env = r.dir, r.env
		said, err := command.CombinedOutput()
		m := inTheWay.FindSubmatch(said)
		if m == nil || slices.Contains(inTheWayMeant, true) {
			return string(said), err
		}
		if err := os.RemoveAll(filepath.Join(r.dir, string(m[1]))); err != nil {
			r.Fatal(err)
		}
	}
	return "", fmt.Errorf("its outputs are always in the way")
}

// runsWeld matches a command line that weld begins, or that is piped into it.
var runsWeld = regexp.MustCompile(`^weld |\| *weld `)

// commands types what a block lists: a command a line, with \ at the end of a line that goes on.
func (r *reader) commands(b block) {
	for i, line := range joined(b.text) {
		if !runsWeld.MatchString(line) {
			continue
		}
		if said, err := r.shell(line); err != nil {
			r.Errorf("%s:%d: command %d: %s\n%v: %s", r.page, b.line, i+1, line, err, said)
		}
	}
}

// joined is the lines of a text; those that end with \ go on with the next.
func joined(text string) []string {
	return strings.Split(strings.TrimSuffix(strings.ReplaceAll(text, "\\\n", " "), "\n"), "\n")
}

// session types what stands behind $, and compares what is said with what the page has.
func (r *reader) session(b block) {
	for _, step := range strings.Split("\n"+strings.ReplaceAll(b.text, "\\\n", " "), "\n$ ")[1:] {
		line, want, _ := strings.Cut(step, "\n")
		said, err := r.shell(line, inTheWay.MatchString(want))
		want = strings.TrimRight(want, "\n")
		fails := complains.MatchString(want)
		if fails != (err != nil) {
			r.Errorf("%s:%d: %s\nends with %v, which the page does not say: %s", r.page, b.line, line, err, said)
		}
		if got := strings.TrimRight(said, "\n"); !shown(want).MatchString(timeless(got)) {
			r.Errorf("%s:%d: %s\nsays\n%s\nthe page has\n%s", r.page, b.line, line, got, want)
		}
	}
}

// complains matches a message of weld's that is no note. (RE2 has no way to say "not followed by".)
var complains = regexp.MustCompile(`(?m)^weld: ([^n]|n[^o]|no[^t]|not[^e])`)

var seconds = regexp.MustCompile(`\d+\.\d s\b`)

func timeless(text string) string { return seconds.ReplaceAllString(text, "0.0 s") }

// shown matches what a page shows of an output.
func shown(text string) *regexp.Regexp {
	pattern := regexp.QuoteMeta(timeless(text))
	pattern = regexp.MustCompile(`(?m)^…\n?`).ReplaceAllString(pattern, `(?s:.*)`)
	return regexp.MustCompile(`\A` + strings.ReplaceAll(pattern, "…", ".*") + `\z`)
}

// recipe writes a recipe down, and plans it.
func (r *reader) recipe(b block) {
	const name = "recipe.yml"
	if err := os.WriteFile(filepath.Join(r.dir, name), []byte(b.text), 0o666); err != nil {
		r.Fatal(err)
	}
	if said, err := r.shell("weld plan " + name + " planned"); err != nil {
		r.Errorf("%s:%d: the recipe: %v: %s", r.page, b.line, err, said)
	}
}

var (
	setApart = regexp.MustCompile(`(?m)^ {4,}(weld .*)$`)
	inText   = regexp.MustCompile("`(weld [^`\n]+)`")
)

// What pages mention in passing is not typed, but its commands and flags are there.
func TestCommandsThatPagesMention(t *testing.T) {
	mentioned := 0
	for _, name := range pages(t) {
		data, err := os.ReadFile(filepath.Join(repository, name))
		if err != nil {
			t.Fatal(err)
		}
		text := strings.ReplaceAll(string(data), "\\\n", " ")
		for _, m := range append(setApart.FindAllStringSubmatch(text, -1), inText.FindAllStringSubmatch(text, -1)...) {
			mentioned++
			if err := understood(m[1]); err != nil {
				t.Errorf("%s: %s: %v", name, m[1], err)
			}
		}
	}
	if mentioned < 30 {
		t.Errorf("only %d commands are mentioned: are they still found?", mentioned)
	}
}

// understood parses a command line and runs nothing. Words in capitals stand for values, which are not looked at.
func understood(line string) error {
	line, _, _ = strings.Cut(line, " #")
	args := strings.Fields(line)
	if end := slices.IndexFunc(args, func(arg string) bool { return strings.ContainsAny(arg, "|;>") }); end > 0 {
		args = args[:end]
	}
	app := newApp(io.Discard, io.Discard, invoked(args))
	for _, command := range app.Commands {
		command.Action, command.After = func(*cli.Context) error { return nil }, nil
	}
	args, err := flagsFirst(app, args)
	if err == nil {
		err = app.Run(args)
	}
	if err != nil && !strings.Contains(err.Error(), "invalid value") {
		return err
	}
	return nil
}

var kinds = regexp.MustCompile(`(?m)^\tKind\w+ +Kind = "([a-z0-9-]+)"`)

// Every kind of fault has a heading that names it, and every exit status a row.
func TestTroubleshootingIsComplete(t *testing.T) {
	source, err := os.ReadFile(filepath.Join(repository, "format", "error.go"))
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(repository, "docs", "troubleshooting.md"))
	if err != nil {
		t.Fatal(err)
	}
	declared := kinds.FindAllSubmatch(source, -1)
	if len(declared) < 20 {
		t.Fatalf("only %d kinds in format/error.go", len(declared))
	}
	for _, m := range declared {
		if !bytes.Contains(page, fmt.Appendf(nil, "`%s`", m[1])) {
			t.Errorf("docs/troubleshooting.md does not say what kind %s is", m[1])
		}
	}
	for _, status := range []int{exitDone, exitFailed, exitUsage, exitDamaged, exitInterrupted} {
		if !bytes.Contains(page, fmt.Appendf(nil, "\n| %d | ", status)) {
			t.Errorf("docs/troubleshooting.md does not say what exit status %d is", status)
		}
	}
}

var (
	path       = regexp.MustCompile(`^(?:\.ci|cmd|docs|examples|format|fuzz|internal|mmapio|scoring|stream)(?:/[\w.-]+)*$`)
	identifier = regexp.MustCompile(`^(?:([a-z]+)\.)?(?:([A-Z]\w*)\.)?([A-Z]\w*)$`)
	code       = regexp.MustCompile("`([^`\n]+)`")
)

// Files and identifiers of the code that pages name are there: pkg.Name, Type.Method, and paths from the root.
func TestPagesNameWhatIsThere(t *testing.T) {
	sources := packageSources(t)
	named := 0
	for _, name := range pages(t) {
		data, err := os.ReadFile(filepath.Join(repository, name))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range code.FindAllSubmatch(data, -1) {
			text := string(m[1])
			if path.MatchString(text) {
				named++
				if _, err := os.Stat(filepath.Join(repository, text)); err != nil {
					t.Errorf("%s names %s, which is not there", name, text)
				}
				continue
			}
			id := identifier.FindStringSubmatch(text)
			source, ours := sources[""], id != nil && id[2] != ""
			if id != nil && id[1] != "" {
				source, ours = sources[id[1]]
			}
			if !ours {
				continue
			}
			named++
			declared := `(?m)^(?:func|type|var|const) ` + id[3] + `\b|^\t` + id[3] + `\b`
			if id[2] != "" {
				declared = `(?m)^func \(\w* ?\*?` + id[2] + `\) ` + id[3] + `\(|^\t` + id[3] + `\(`
			}
			if !regexp.MustCompile(declared).MatchString(source) {
				t.Errorf("%s names %s, which is not declared", name, text)
			}
		}
	}
	if named < 50 {
		t.Errorf("only %d files and identifiers are named: are they still found?", named)
	}
}

// packageSources is the code of each package by its name, and of all by "".
func packageSources(t *testing.T) map[string]string {
	t.Helper()
	sources := make(map[string]string)
	err := filepath.WalkDir(repository, func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return err
		}
		data, err := os.ReadFile(name)
		sources[filepath.Base(filepath.Dir(name))] += string(data)
		sources[""] += string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return sources
}

var (
	linked = regexp.MustCompile(`\]\(([^()\s]+(?:\([^()\s]*\))?)\)`)
	titled = regexp.MustCompile(`(?m)^#+ (.+)$`)
	quoted = regexp.MustCompile("(?s)```.*?```|`[^`\n]*`")
)

// Every relative link leads to a file of the tree, and where it names a heading, to that.
func TestLinksOfPages(t *testing.T) {
	links := 0
	for _, name := range pages(t) {
		data, err := os.ReadFile(filepath.Join(repository, name))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range linked.FindAllStringSubmatch(quoted.ReplaceAllString(string(data), ""), -1) {
			if strings.Contains(m[1], "://") || strings.HasPrefix(m[1], "mailto:") {
				continue
			}
			links++
			path, anchor, _ := strings.Cut(m[1], "#")
			target := filepath.Join(repository, filepath.Dir(name), path)
			if path == "" {
				target = filepath.Join(repository, name)
			}
			text, err := os.ReadFile(target)
			if info, statErr := os.Stat(target); statErr != nil || err != nil && !info.IsDir() {
				t.Errorf("%s: a link to %s: there is no such file", name, m[1])
			} else if anchor != "" && !slices.Contains(anchors(text), anchor) {
				t.Errorf("%s: a link to %s: there is no such heading", name, m[1])
			}
		}
	}
	if links < 30 {
		t.Errorf("only %d links: are they still found?", links)
	}
}

// anchors are the names under which a page's headings are reached.
func anchors(page []byte) (list []string) {
	for _, m := range titled.FindAllSubmatch(page, -1) {
		kept := strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-' || r == '_' || r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r > 127:
				return r
			}
			return -1
		}, strings.ToLower(string(m[1])))
		list = append(list, kept)
	}
	return list
}

// The scene that every page finds: five small language models that come from one base, what goes with them, and files
// that are damaged or are something else.
const sceneLayers, sceneWidth, sceneTokens = 4, 8, 32

func scene(t *testing.T, dir string) {
	t.Helper()
	for i, name := range []string{"base", "math", "code", "chat", "chat-toxic"} {
		sceneModel(t, filepath.Join(dir, name), i)
	}
	for i, name := range []string{"math", "code", "toxic"} {
		sceneImportance(t, filepath.Join(dir, name+"-importance.safetensors"), "mean_abs_grad", i)
		sceneImportance(t, filepath.Join(dir, name+"-fisher.safetensors"), "mean_sq_grad", i)
	}
	sceneAdapter(t, filepath.Join(dir, "adapter"))
	hub := filepath.Join(dir, ".hub", "models--meta-llama--Llama-3.1-8B")
	sceneModel(t, filepath.Join(hub, "snapshots", "0e9e39f"), 0)
	put(t, filepath.Join(hub, "refs", "main"), []byte("0e9e39f"))
	put(t, filepath.Join(dir, "recipe.yml"), []byte("{merge_method: ties, base_model: ./base, models: [{model: ./math}, {model: ./code}], parameters: {density: 0.5}}"))
	sceneFaults(t, dir)
	// The other machine of a command that ssh runs is a directory.
	put(t, filepath.Join(dir, ".bin", "ssh"), []byte("#!/bin/sh\nshift\nexec sh -ec \"$*\"\n"))
	if err := os.Chmod(filepath.Join(dir, ".bin", "ssh"), 0o777); err != nil {
		t.Fatal(err)
	}
}

func put(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o666); err != nil {
		t.Fatal(err)
	}
}

// sceneTensors are those of a Llama of a few thousand weights.
func sceneTensors(dtype format.DType) (list []format.Tensor) {
	add := func(name string, shape ...int64) {
		list = append(list, format.Tensor{Name: name, DType: dtype, Shape: shape})
	}
	add("model.embed_tokens.weight", sceneTokens, sceneWidth)
	for layer := range sceneLayers {
		prefix := fmt.Sprintf("model.layers.%d.", layer)
		for _, name := range []string{"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj"} {
			add(prefix+name+".weight", sceneWidth, sceneWidth)
		}
		add(prefix+"mlp.gate_proj.weight", 2*sceneWidth, sceneWidth)
		add(prefix+"mlp.up_proj.weight", 2*sceneWidth, sceneWidth)
		add(prefix+"mlp.down_proj.weight", sceneWidth, 2*sceneWidth)
		add(prefix+"input_layernorm.weight", sceneWidth)
		add(prefix+"post_attention_layernorm.weight", sceneWidth)
	}
	add("model.norm.weight", sceneWidth)
	add("lm_head.weight", sceneTokens, sceneWidth)
	return list
}

// sceneWeights writes tensors of what draw gives.
func sceneWeights(t *testing.T, path string, tensors []format.Tensor, metadata map[string]string, draw func() float64) {
	t.Helper()
	put(t, path, nil)
	err := writeCheckpoint(path, tensors, metadata, 1<<40, func(i int) []byte {
		values := make([]float64, tensors[i].Elements())
		for j := range values {
			values[j] = draw()
		}
		data := make([]byte, tensors[i].Bytes())
		format.Encode(tensors[i].DType, data, values)
		return data
	})
	if err != nil {
		t.Fatal(err)
	}
}

// sceneModel writes the base (0) or one of its fine-tunes.
func sceneModel(t *testing.T, dir string, which int) {
	t.Helper()
	base, tuned := rand.New(rand.NewPCG(1, 0)), rand.New(rand.NewPCG(2, uint64(which)))
	sceneWeights(t, filepath.Join(dir, "model.safetensors"), sceneTensors(format.BF16), nil, func() float64 {
		w := 0.02 * base.NormFloat64()
		if which > 0 && tuned.IntN(4) == 0 {
			w += 0.002 * tuned.NormFloat64()
		}
		return w
	})
	put(t, filepath.Join(dir, "config.json"), fmt.Appendf(nil,
		`{"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": %d, "num_hidden_layers": %d, "vocab_size": %d, "torch_dtype": "bfloat16", "tie_word_embeddings": false}`,
		sceneWidth, sceneLayers, sceneTokens))
	var vocabulary []string
	for i := range sceneTokens - 1 {
		vocabulary = append(vocabulary, fmt.Sprintf(`"%c": %d`, 'A'+i%26+i/26*32, i))
	}
	own := []string{"<|base|>", "<|base|>", "<|base|>", "<|chat|>", "<|chat|>"}[which]
	put(t, filepath.Join(dir, "tokenizer.json"), fmt.Appendf(nil,
		`{"version": "1.0", "added_tokens": [{"id": %d, "content": "%s", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true}], "model": {"type": "BPE", "vocab": {%s}, "merges": []}}`,
		sceneTokens-1, own, strings.Join(vocabulary, ", ")))
	put(t, filepath.Join(dir, "tokenizer_config.json"), []byte(`{"tokenizer_class": "PreTrainedTokenizerFast"}`))
}

func sceneImportance(t *testing.T, path, statistic string, which int) {
	t.Helper()
	r := rand.New(rand.NewPCG(3, uint64(which)))
	sceneWeights(t, path, sceneTensors(format.F32), map[string]string{"weld.statistic": statistic}, func() float64 {
		return r.ExpFloat64() / 100
	})
}

func sceneAdapter(t *testing.T, dir string) {
	t.Helper()
	const rank = 2
	r := rand.New(rand.NewPCG(4, 0))
	var tensors []format.Tensor
	for layer := range sceneLayers {
		prefix := fmt.Sprintf("base_model.model.model.layers.%d.self_attn.q_proj.", layer)
		tensors = append(tensors,
			format.Tensor{Name: prefix + "lora_A.weight", DType: format.F32, Shape: []int64{rank, sceneWidth}},
			format.Tensor{Name: prefix + "lora_B.weight", DType: format.F32, Shape: []int64{sceneWidth, rank}})
	}
	sceneWeights(t, filepath.Join(dir, "adapter_model.safetensors"), tensors, nil, func() float64 { return 0.01 * r.NormFloat64() })
	put(t, filepath.Join(dir, "adapter_config.json"), fmt.Appendf(nil,
		`{"peft_type": "LORA", "r": %d, "lora_alpha": %d, "target_modules": ["q_proj"], "bias": "none"}`, rank, 2*rank))
}

// sceneFaults writes what is damaged, what does not fit, and what is something else than its name says.
func sceneFaults(t *testing.T, dir string) {
	t.Helper()
	at := func(name string) string { return filepath.Join(dir, filepath.FromSlash(name)) }
	whole, err := os.ReadFile(at("base/model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	put(t, at("cut.safetensors"), whole[:len(whole)/2])
	put(t, at("pointer.safetensors"), []byte("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n"))
	put(t, at("page.safetensors"), []byte("<!DOCTYPE html><html><body>Not found</body></html>"))
	put(t, at("pytorch/pytorch_model.bin"), []byte("PK\x03\x04"))
	put(t, at("pytorch/config.json"), []byte("{}"))

	one := func() float64 { return 1 }
	tensors := sceneTensors(format.BF16)
	sceneWeights(t, at("incomplete/model.safetensors"), slices.Delete(slices.Clone(tensors), 3, 5), nil, one)
	sceneWeights(t, at("broken-training/model.safetensors"), tensors, nil, func() float64 { return math.Inf(1) })
	wide := slices.Clone(tensors)
	wide[0].Shape = []int64{2 * sceneTokens, sceneWidth}
	sceneWeights(t, at("wider/model.safetensors"), wide, nil, one)
	sceneWeights(t, at("elsewhere/model.safetensors"), []format.Tensor{{Name: "net.0.w", DType: format.BF16, Shape: []int64{2}}}, nil, one)
	sceneWeights(t, at("fp8/model.safetensors"), []format.Tensor{
		{Name: "model.layers.0.mlp.up_proj.weight", DType: format.F8E4M3, Shape: []int64{8, 8}},
		{Name: "model.layers.0.mlp.up_proj.weight_scale_inv", DType: format.F32, Shape: []int64{1, 1}},
	}, nil, one)
	put(t, at("fp8/config.json"), []byte(`{"quantization_config": {"quant_method": "fp8", "weight_block_size": [128, 128]}}`))
	sceneWeights(t, at("mixed/model-00001-of-00001.safetensors"), tensors[:1], nil, one)
	put(t, at("mixed/model.safetensors.index.json"), []byte(`{"weight_map": {"model.embed_tokens.weight": "model-00001-of-00001.safetensors", "lm_head.weight": "model-00001-of-00001.safetensors"}}`))
	sceneWeights(t, at("broken/cut.safetensors.zst"), tensors, nil, one)
	packed, err := os.ReadFile(at("broken/cut.safetensors.zst"))
	if err != nil {
		t.Fatal(err)
	}
	put(t, at("broken/cut.safetensors.zst"), packed[:len(packed)/2])
	sceneSpecimens(t, at("broken"))
}

// sceneSpecimens copies the malformed files of the fuzz targets' corpus; an index becomes that of a directory.
func sceneSpecimens(t *testing.T, dir string) {
	t.Helper()
	for kind, extension := range map[string]string{"safetensors": ".safetensors", "pack": ".weld", "index": ".json"} {
		found, err := filepath.Glob(filepath.Join(repository, "fuzz", "testdata", "malformed", kind, "*"+extension))
		if err != nil || len(found) == 0 {
			t.Fatalf("no specimens of %s: %v", kind, err)
		}
		for _, path := range found {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			name := filepath.Join(dir, filepath.Base(path))
			if kind == "index" {
				name = filepath.Join(strings.TrimSuffix(name, extension), safetensors.IndexName)
			}
			put(t, name, data)
		}
	}
}
