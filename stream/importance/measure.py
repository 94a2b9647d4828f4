"""Measures the importance of a model's weights: the mean of |g| and of g² over samples, where g is the gradient of the loss.

Run by weld importance; it can be run without weld as well:

    python measure.py --model DIR --out FOLDER [--texts FILE] [--samples N] [--length N] ...

FOLDER gets safetensors files with an index, one folder for each statistic, named and laid out as the model's files are. It needs torch, transformers 5
and safetensors, and no network.

    sweep 1     embed all samples, and keep what goes in at the first layer
                for each layer: load it, run it on every sample, keep what comes out, unload it
    turn        head: loss of every sample, and its gradient with respect to what the last layer gave
    sweep 2     for each layer, last to first: load it, run it again on every sample with the gradient of what it gave,
                add the magnitudes of its weights' gradients, keep the gradient of what went in, write the sums, unload it
    end         the gradients of what is before the layers; of weights that are tied, both uses are summed before the magnitude

What goes in at layers, and gradients, lie in files in FOLDER, one for each layer. A run that was ended goes on behind the last layer that was finished.
Layers are found by structure: the list of modules that a forward pass calls each once, in turn, each with what the one before gave. A model without one
is run whole.
"""

import argparse
import collections
import concurrent.futures
import contextlib
import ctypes
import errno
import functools
import hashlib
import inspect
import json
import math
import os
import random
import re
import shutil
import sys
import threading
import time
import traceback

STATISTICS = ("mean_abs_grad", "mean_sq_grad")


class Failed(Exception):
    """What was asked for cannot be done here. Its text is for the user."""


class Unusable(Failed):
    """What was given, a model or texts, cannot be measured."""


class NotStreamed(Exception):
    """The model is not a list of layers called in turn."""


# ------------------------------------------------------------------------------------------------------------------------------ events

emitted = 0.0
waiting = 0


def emit(event, **said):
    """Says something to weld: one line of JSON."""
    sys.stdout.write(json.dumps({"event": event, **said}) + "\n")
    sys.stdout.flush()


def advance(size, at_once=False):
    """Counts bytes of weights that a step has gone through."""
    global emitted, waiting
    waiting += size
    if at_once or time.monotonic() - emitted > 0.2:
        if waiting >= 1:
            emit("advance", bytes=int(waiting))
            waiting -= int(waiting)
        emitted = time.monotonic()


def note(text):
    emit("note", text=text)


TRIMMED = 16  # layers that use the memory of those before; anew for each it would take a third of the time


def trim():
    """Has glibc give free memory back to the system. Small things stay where large ones went, and what is large then takes other memory: a little more with each layer."""
    with contextlib.suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)


def digits(size):
    """Of a number of gigabytes, so that it is not 0."""
    return 1 if size >= 1e8 else 6


def first_line(e):
    """What an error says first, with what a colon announces."""
    lines = [line.strip() for line in str(e).strip().splitlines()] or [type(e).__name__]
    return " ".join(lines[:2]) if lines[0].endswith(":") else lines[0]


def told(e):
    """An error that nothing here expects, in a line, with where it was raised."""
    place = traceback.extract_tb(e.__traceback__)[-1]
    return f"{type(e).__name__} in {os.path.basename(place.filename)}, line {place.lineno}: {first_line(e)}"


def some(count, thing):
    return f"{count} {thing}" + ("s" if count != 1 else "")


# ------------------------------------------------------------------------------------------------------------------------------- files


def lasting(path):
    """Has a file survive a loss of power."""
    with open(path, "rb+") as f:
        os.fsync(f.fileno())


def replace(path, write):
    """Writes a file that is there as a whole or not at all."""
    with open(path + ".tmp", "wb") as f:
        write(f)
    lasting(path + ".tmp")
    os.replace(path + ".tmp", path)


class Disk:
    """Does what waits for the disk one after the other, while the next layer is computed."""

    AHEAD = 4  # tasks that may wait: what they remove takes place

    def __init__(self):
        self.worker = concurrent.futures.ThreadPoolExecutor(1)
        self.waiting = collections.deque()

    def then(self, task, *args):
        """Does a task when those before are done. What went wrong with one of them is raised."""
        while len(self.waiting) >= self.AHEAD:
            self.waiting.popleft().result()
        self.waiting.append(self.worker.submit(task, *args))

    def wait(self):
        while self.waiting:
            self.waiting.popleft().result()

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        try:
            if kind is None:
                self.wait()
        finally:
            self.worker.shutdown()


def raw(tensor):
    """The bytes of a contiguous tensor, in the order of the file."""
    return tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()


def write_safetensors(path, tensors, metadata, disk):
    """Writes float32 tensors, in constant memory beside them. The file has its name when the disk comes to it."""
    header, at = {"__metadata__": metadata}, 0
    for name, t in tensors.items():
        size = 4 * t.numel()
        header[name] = {"dtype": "F32", "shape": list(t.shape), "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)

    with open(path + ".tmp", "wb") as f:
        f.write(len(text).to_bytes(8, "little"))
        f.write(text)
        for t in tensors.values():
            for piece in t.reshape(-1).split(1 << 24):
                f.write(raw(piece.float()))
    disk.then(lasting, path + ".tmp")
    disk.then(os.replace, path + ".tmp", path)


def recalled(path):
    """What an earlier run wrote down as JSON."""
    with open(path, "rb") as f:
        try:
            return json.load(f)
        except ValueError:
            raise Failed(f"{path} is damaged: remove its folder, and begin anew") from None


class Kept:
    """Tensors of every sample in one file, written in the order of the samples and read in any.

    A second file has the index. It is written when the first is on the disk.
    """

    def __init__(self, folder, name):
        self.path = os.path.join(folder, name)
        self.index = None

    def there(self):
        """Whether all samples are kept."""
        if self.index is None and os.path.exists(self.path + ".json"):
            self.index = recalled(self.path + ".json")["index"]
        return self.index is not None

    @contextlib.contextmanager
    def written(self, disk):
        """Yields what appends the tensors of the next sample."""
        index = []
        with open(self.path, "wb") as f:

            def append(*tensors):
                entries = []
                for t in tensors:
                    entries.append(None if t is None else [str(t.dtype).removeprefix("torch."), list(t.shape), f.tell()])
                    if t is not None:
                        f.write(raw(t))
                index.append(entries)

            yield append
        self.index = index
        disk.then(lasting, self.path)
        disk.then(replace, self.path + ".json", lambda f: f.write(json.dumps({"index": index}).encode()))

    @contextlib.contextmanager
    def reader(self, device):
        if not self.there():
            raise Failed(f"{self.path}.json is no longer there: remove its folder, and begin anew")
        with open(self.path, "rb", buffering=0) as f:

            def read(sample):
                return [None if e is None else self.tensor(f, *e).to(device) for e in self.index[sample]]

            yield read

    def tensor(self, f, dtype, shape, at):
        dtype = getattr(torch, dtype)
        t = torch.empty(shape, dtype=dtype)
        view = memoryview(t.reshape(-1).view(torch.uint8).numpy())
        f.seek(at)
        got = 0
        while got < len(view) and (n := f.readinto(view[got:])):  # one read gives 2 GiB at most
            got += n
        if got != len(view):
            raise Failed(f"{self.path} was cut: remove its folder, and begin anew")
        return t

    def remove(self):
        for path in (self.path + ".json", self.path):
            with contextlib.suppress(FileNotFoundError):
                os.remove(path)


# --------------------------------------------------------------------------------------------------------------------------- the model


def transformers_class(config):
    """The class that the model's configuration names, or that of causal language models."""
    names = config.architectures or []
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise Unusable("config.json: architectures are no list of names")
    for name in names:
        cls = getattr(transformers, name, None)
        if isinstance(cls, type) and issubclass(cls, transformers.PreTrainedModel):
            return cls
        raise Unusable(f"config.json names {name}, which transformers {transformers.__version__} does not have")
    if type(config) not in transformers.AutoModelForCausalLM._model_mapping:
        raise Unusable(f"config.json names no architecture, and {config.model_type} is no causal language model of transformers")
    return transformers.AutoModelForCausalLM._model_mapping[type(config)]


@contextlib.contextmanager
def unloaded():
    """Makes modules whose parameters have shapes and no values, and whose buffers have both."""
    from transformers.initialization import no_init_weights

    register = torch.nn.Module.register_parameter

    def on_meta(module, name, param):
        register(module, name, param)
        if param is not None and module._parameters[name].device.type != "meta":
            p = module._parameters[name]
            module._parameters[name] = torch.nn.Parameter(torch.empty_like(p, device="meta"), requires_grad=p.requires_grad)

    torch.nn.Module.register_parameter = on_meta
    try:
        with no_init_weights():
            yield
    finally:
        torch.nn.Module.register_parameter = register


Stored = collections.namedtuple("Stored", "file shape dtype place")  # a tensor of the files, and from where to where it lies in one


class Part:
    """Parameters and buffers that are loaded together.

    A model of many layers has many names: to look through all of them for each layer would take longer than the layer.
    """

    def __init__(self):
        self.state = {}  # what the model's state has of it, by name, without values
        self.empty = {}  # its parameters without values, by name; of those that are tied all names
        self.converted = {}  # the tensors of the files that become a parameter by a conversion, by the parameter's name
        self.direct = {}  # those that are one as they are

    def keys(self):
        """Its tensors in the files."""
        return [k for table in (self.direct, self.converted) for keys in table.values() for k in keys]

    def size(self):
        """Bytes in memory."""
        return sum(p.numel() * p.element_size() for p in self.empty.values())


class Checkpoint:
    """A model on the disk, and the module of transformers that its tensors are loaded into, a part at a time."""

    def __init__(self, folder, dtype, device):
        self.folder, self.device = folder, torch.device(device)
        self.stored = self.list_stored(folder)
        if not os.path.exists(os.path.join(folder, "config.json")):
            raise Unusable(f"{folder} has no config.json, which transformers needs")
        try:
            self.config = transformers.AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        except Exception as e:
            raise Unusable(f"{folder}: transformers {transformers.__version__} does not take its config.json: {first_line(e)}") from None
        self.dtype = self.choose(dtype)
        for config in [self.config, *[getattr(self.config, k, None) for k in self.config.sub_configs]]:
            for key in ("output_router_logits", "use_cache"):  # the loss of the language alone, and nothing kept between layers
                if getattr(config, key, False):
                    setattr(config, key, False)
        cls = transformers_class(self.config)
        try:
            with unloaded():
                self.model = cls._from_config(self.config, dtype=self.dtype)
        except Exception as e:
            raise Unusable(f"{folder}: transformers {transformers.__version__} makes no {cls.__name__} of its config.json: {told(e)}") from None
        self.model.eval()
        self.match()
        self.tie()
        self.empty = {n: p for n, p in self.model.named_parameters(remove_duplicate=False)}
        self.state = self.model.state_dict()
        for b in self.model.buffers():
            b.data = b.data.to(self.device)
        takes = inspect.signature(self.model.forward).parameters
        self.options = {"use_cache": False} if "use_cache" in takes else {}

    def list_stored(self, folder):
        """What the files hold: file, shape and type of each tensor by name."""
        index = os.path.join(folder, "model.safetensors.index.json")
        names = ["model.safetensors"]
        if os.path.exists(index):
            with open(index) as f:
                names = sorted(set(json.load(f)["weight_map"].values()))
        stored = {}
        for name in names:
            with open(os.path.join(folder, name), "rb") as f:
                size = int.from_bytes(f.read(8), "little")
                header = json.loads(f.read(size))
            for key, t in header.items():
                if key != "__metadata__":
                    stored[key] = Stored(name, t["shape"], t["dtype"], [8 + size + at for at in t["data_offsets"]])
        return stored

    def ahead(self, part):
        """Has the system read a part's tensors, while another is computed."""
        if not hasattr(os, "posix_fadvise"):
            return
        with contextlib.ExitStack() as stack:
            files = {}
            for s in (self.stored[k] for k in part.keys()):
                if s.file not in files:
                    files[s.file] = stack.enter_context(open(os.path.join(self.folder, s.file), "rb"))
                os.posix_fadvise(files[s.file].fileno(), s.place[0], s.place[1] - s.place[0], os.POSIX_FADV_WILLNEED)

    @contextlib.contextmanager
    def slices(self, keys):
        """Maps the files of some tensors. Mappings that were left open would keep what was read in memory."""
        with contextlib.ExitStack() as stack:
            files = {}
            for name in sorted({self.stored[k].file for k in keys}):
                files[name] = stack.enter_context(safetensors.safe_open(os.path.join(self.folder, name), framework="pt", device="cpu"))
            yield {k: files[self.stored[k].file].get_slice(k) for k in keys}

    def choose(self, dtype):
        """The type that is computed in: the one asked for, or that of most elements of the file."""
        if dtype != "auto":
            return getattr(torch, dtype)
        counts = {}
        for s in self.stored.values():
            kind = {"F32": torch.float32, "BF16": torch.bfloat16, "F16": torch.float16, "F64": torch.float64}.get(s.dtype)
            if kind is not None:
                counts[kind] = counts.get(kind, 0) + product(s.shape)
        if not counts:
            raise Unusable(f"{self.folder}: its weights are stored in codes: decode them first, by weld convert --quantize none")
        return max(counts, key=counts.get)

    def match(self):
        """Finds for each tensor of the files the parameter that it becomes, or becomes a part of."""
        from transformers.conversion_mapping import get_model_conversion_mapping
        from transformers.core_model_loading import WeightConverter, WeightRenaming, dot_natural_key, rename_source_key

        self.mapping = get_model_conversion_mapping(self.model) or []
        renamings = [m for m in self.mapping if isinstance(m, WeightRenaming)]
        converters = [m for m in self.mapping if isinstance(m, WeightConverter)]
        state = self.model.state_dict()
        prefix = self.model.base_model_prefix
        self.direct, self.converted, self.foreign = {}, {}, []
        for key in sorted(self.stored, key=dot_natural_key):
            name, pattern = rename_source_key(key, renamings, converters, prefix, state)
            if name not in state and key in state:
                name, pattern = rename_source_key(key, [], [], prefix, state)
            if name not in state:
                self.foreign.append(key)
            elif pattern is None:
                self.direct.setdefault(name, []).append(key)
            else:
                self.converted.setdefault(name, []).append(key)
        self.model._weight_conversions = [m for m in self.mapping if m.was_used()]
        self.plan = self.model._get_dtype_plan(self.dtype)

    def tie(self):
        """Makes one parameter of those that are tied, unless the files have them apart."""
        self.model.tie_weights(recompute_mapping=False)
        for target, source in dict(self.model.all_tied_weights_keys).items():
            a, b = self.direct.get(target), self.direct.get(source)
            if a and b and not self.same(a[0], b[0]):
                del self.model.all_tied_weights_keys[target]
                p = self.model.get_parameter(source)
                self.put(target, torch.nn.Parameter(torch.empty_like(p), requires_grad=True))
        self.aliases = {}
        for name, p in self.model.named_parameters(remove_duplicate=False):
            self.aliases.setdefault(id(p), []).append(name)
        self.aliases = {n: names for names in self.aliases.values() for n in names}

    def same(self, a, b):
        """Whether two tensors of the files hold the same."""
        if (self.stored[a].shape, self.stored[a].dtype) != (self.stored[b].shape, self.stored[b].dtype):
            return False
        with self.slices([a, b]) as s:
            if not self.stored[a].shape:
                return torch.equal(s[a][...], s[b][...])
            return all(torch.equal(s[a][i : i + 1024], s[b][i : i + 1024]) for i in range(0, self.stored[a].shape[0], 1024))

    def put(self, name, p):
        module, _, leaf = name.rpartition(".")
        setattr(self.model.get_submodule(module), leaf, p)

    def parts(self, of):
        """The model's parts, by what of says of each name."""
        found = collections.defaultdict(Part)
        for table in ("state", "empty", "direct", "converted"):
            for name, value in getattr(self, table).items():
                getattr(found[of(name)], table)[name] = value
        return found

    def part(self, mine):
        """The part of the model whose names are mine."""
        return self.parts(lambda name: bool(mine(name)))[True]

    @contextlib.contextmanager
    def seen_as(self, part):
        """Has the model seem to have this part's names alone, to what looks through all of them."""
        self.model.state_dict = lambda: part.state
        self.model.named_buffers = lambda: iter(())  # which matter where some are to be on a disk
        try:
            yield
        finally:
            del self.model.state_dict, self.model.named_buffers

    def load(self, part):
        """Loads a part of the model, as transformers does."""
        from transformers.core_model_loading import convert_and_load_state_dict_in_model
        from transformers.modeling_utils import LoadStateDictConfig

        kept = self.model._weight_conversions
        config = LoadStateDictConfig(device_map={"": self.device}, dtype=self.dtype, dtype_plan=self.plan, weight_mapping=self.mapping)
        with self.slices(part.keys()) as slices, self.seen_as(part):
            info, _ = convert_and_load_state_dict_in_model(self.model, slices, config)
        self.model._weight_conversions = kept
        if info.mismatched_keys:
            name, got, want = sorted(info.mismatched_keys, key=str)[0]
            raise Unusable(f"{self.folder}: {name} is {list(got)} in the files, and the configuration wants {list(want)}")
        if info.conversion_errors:
            name, why = next(iter(info.conversion_errors.items()))
            raise Unusable(f"{self.folder}: transformers cannot convert {name}: {why}")
        done = set()
        for name in part.empty:
            if name not in done:
                done.update(self.aliases[name])
                self.join(self.aliases[name])

    def join(self, names):
        """Gives all names of a tied parameter the one that was loaded."""
        held = [self.model.get_parameter(n) for n in names]
        there = [p for p in held if p.device.type != "meta"]
        if not there:
            raise Unusable(f"{self.folder} has no {names[0]}, which its configuration wants")
        for n in names:
            self.put(n, there[0])

    def unload(self, part):
        for name, p in part.empty.items():
            self.put(name, p)

    def parameters(self, part):
        """The parameters of a part by name, one name of each, in the order of the model."""
        return {n: self.model.get_parameter(n) for n in part.empty if self.aliases[n][0] == n}

    def check(self, part):
        """Demands that a part leads back to the names and shapes of the files."""
        self.as_stored(part, {}, device="meta")

    def as_stored(self, part, sums, device="cpu"):
        """Sums of a part under the names and in the layout of the files. Parameters that no sample reached are zero."""
        from transformers.core_model_loading import revert_weight_conversion

        out, state, sources = {}, {}, {k for keys in part.converted.values() for k in keys}
        for name, empty in part.state.items():
            total = next((sums[a] for a in self.aliases.get(name, [name]) if a in sums), None)
            shape = empty.shape
            if name in part.direct:
                for key in part.direct[name]:
                    if list(shape) != self.stored[key].shape:
                        raise Unusable(f"{self.folder}: {key} is {self.stored[key].shape} in the files and {list(shape)} in transformers")
                    out[key] = zeros(shape, device) if total is None else total
            else:
                state[name] = zeros(shape, device) if total is None else total.cpu()
        if not sources:
            return {k: t for k, t in out.items() if floating(self.stored[k])}
        turned = revert_weight_conversion(self.model, state)
        missing = sorted(sources - set(turned))
        if missing:
            raise Unusable(f"{self.folder}: transformers does not lead back to the names in the files: {missing[0]} is not among them")
        for key in sorted(sources):
            if list(turned[key].shape) != self.stored[key].shape:
                raise Unusable(f"{self.folder}: {key} is {self.stored[key].shape} in the files, and transformers leads back to {list(turned[key].shape)}")
            out[key] = turned[key]
        return {k: t for k, t in out.items() if floating(self.stored[k])}


def product(shape):
    n = 1
    for s in shape:
        n *= s
    return n


def zeros(shape, device):
    return torch.zeros((), device=device).expand(list(shape)) if product(shape) else torch.zeros(list(shape), device=device)


def floating(s):
    return s.dtype in ("F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2")


# ------------------------------------------------------------------------------------------------------------------------------- sums


class Sums:
    """Sums over samples of what is measured, in float32, for some parameters at a time."""

    def __init__(self, statistics):
        self.statistics = statistics
        self.narrow = False  # whether gradients are of a type with little range or precision
        self.tables = {s: {} for s in statistics}

    def watch(self, parameters):
        """Takes gradients in a backward pass, each as soon as it is complete."""
        for name, p in parameters.items():
            if p.requires_grad:
                p.register_post_accumulate_grad_hook(functools.partial(self.take, name))

    def take(self, name, p):
        """Adds a parameter's gradient and frees it."""
        g, p.grad = p.grad, None
        g = g.to_dense() if g.is_sparse else g
        self.narrow |= g.dtype in (torch.float16, torch.bfloat16)
        if (table := self.tables.get("mean_sq_grad")) is not None:
            f = g.float()
            if name in table:
                table[name].addcmul_(f, f)
            else:
                table[name] = f * f
        if (table := self.tables.get("mean_abs_grad")) is not None:
            if name in table:
                table[name].add_(g.abs_())
            else:
                table[name] = g.abs().float()  # of its own: gradients may share memory

    def means(self, statistic, count):
        for name, t in self.tables[statistic].items():
            if t.numel() and not math.isfinite(most := float(t.div_(count).max())):
                raise Unusable(f"{statistic} of {name} reaches {most}" + ("; --dtype float32 may help" if self.narrow else ": gradients are not finite, or too large"))
        return self.tables[statistic]


# ------------------------------------------------------------------------------------------------------------------------------ layers

FLOW = "flow"  # stands among a layer's inputs for what the layer before gave


class Halt(Exception):
    """Ends a forward pass behind the last layer."""


class Layers:
    """The layers of a model, and its forward pass without them.

    While it holds them, each layer's forward is a stand-in, and a pass through the model runs what is before and behind the layers alone.
    """

    def __init__(self, name, modules, forward):
        self.name, self.modules, self.forward = name, list(modules), forward
        self.real = [m.forward for m in self.modules]
        self.position = None  # of the flow among the tensors that a layer is called with
        self.as_tuple = False  # whether the model takes what a layer gives out of a tuple
        for i, m in enumerate(self.modules):
            m.forward = self.stand_in(i)

    def restore(self):
        for m in self.modules:
            del m.forward

    def owns(self, name):
        return name.startswith(self.name + ".")

    def of(self, name):
        """Which layer a name belongs to."""
        return int(name[len(self.name) + 1 :].partition(".")[0]) if self.owns(name) else None

    def stand_in(self, i):
        def forward(*args, **kwargs):
            if i != self.next:
                raise NotStreamed(f"{self.name}.{i} is called where {self.name}.{self.next} was expected")
            leaves = []
            form = (self.flat(list(args), leaves), tuple((k, self.flat(v, leaves)) for k, v in kwargs.items()))
            flow = self.find(i, leaves)
            self.next += 1
            self.last = self.handle(i, form, leaves, flow)
            if self.halt and self.next == len(self.modules):
                raise Halt
            return (self.last,) if self.as_tuple else self.last

        return forward

    def flat(self, x, leaves):
        """What an input is made of, with numbers in place of tensors. What a layer may change in place of giving it is not taken."""
        if isinstance(x, torch.Tensor):
            leaves.append(x)
            return ("tensor", len(leaves) - 1)
        if type(x) in (tuple, list):
            return (type(x), tuple(self.flat(y, leaves) for y in x))
        if x is None or isinstance(x, (bool, int, float, str, torch.dtype, torch.device, torch.Size)):
            return ("value", x)
        raise NotStreamed(f"{self.name}.{self.next} is called with a {type(x).__name__}")

    def find(self, i, leaves):
        """Which of the tensors is the flow."""
        if i == 0:
            at = self.position or 0
            if at >= len(leaves) or not leaves[at].is_floating_point():
                raise NotStreamed(f"{self.name}.{i} is called without values")
            return at
        places = [k for k, t in enumerate(leaves) if t is self.last]
        if len(places) != 1:
            raise NotStreamed(f"{self.name}.{i} is not called with what {self.name}.{i - 1} gave")
        if self.position is None:
            self.position = places[0]
        if self.position != places[0]:
            raise NotStreamed(f"{self.name}.{i} is called in another way than {self.name}.{i - 1}")
        return self.position

    def call(self, i, form, leaves):
        """Calls the real layer."""

        def build(x):
            kind, value = x
            if kind == "tensor":
                return leaves[value]
            return value if kind == "value" else kind(build(y) for y in value)

        args, kwargs = form
        out = self.real[i](*build(args), **{k: build(v) for k, v in kwargs})
        out = out[0] if isinstance(out, tuple) else out
        if not isinstance(out, torch.Tensor):
            raise Unusable(f"{self.name}.{i} gives a {type(out).__name__}")
        return out

    def run(self, batch, handle, halt):
        """Runs what is before and, unless halt, what is behind the layers. handle(i, form, leaves, flow) says what layer i gives."""
        self.next, self.last, self.handle, self.halt = 0, None, handle, halt
        try:
            out = self.forward(batch)
        except Halt:
            return None
        if self.next != len(self.modules):
            raise NotStreamed(f"{self.next} of the {len(self.modules)} layers in {self.name} are called")
        return out

    def probe(self, batch):
        """Finds out how the layers are called, and demands that they stand alone."""
        why = None
        for self.as_tuple in (False, True):
            self.position = None
            given, sides = [], []

            def through(i, form, leaves, flow):
                sides.extend(t for k, t in enumerate(leaves) if k != flow and t.requires_grad)
                given.append(leaves[flow].detach().requires_grad_())
                return given[-1]

            try:
                self.run(batch, lambda i, form, leaves, flow: leaves[flow].view_as(leaves[flow]), halt=False)
                self.position = self.position or 0
                loss = self.run(batch, through, halt=False)
            except (Failed, MemoryError, torch.OutOfMemoryError):
                raise
            except Exception as e:  # whatever the model says to what it was handed
                why = e if why is None or isinstance(e, NotStreamed) else why
                continue
            if reached(sides, dict(enumerate(given))) or reached([loss], dict(enumerate(given[:-1]))):
                raise NotStreamed(f"more than what the layer before gave leads from one layer in {self.name} to others")
            return
        raise why if isinstance(why, NotStreamed) else NotStreamed(f"the layers in {self.name} do not stand alone ({type(why).__name__}: {why})")


class Tape:
    """How each layer is called for each batch: what is the same is held once."""

    def __init__(self):
        self.calls, self.sides = [], []
        self.constants, self.forms = {}, {}

    def record(self, layers, batch, behind=None):
        """Runs what is before the layers, notes how they would be called, and returns what goes in at the first, and sides.

        With behind, what the last layer gave, it runs what is behind as well, and returns the loss.
        """
        calls, sides, first, known = [], [], [], {}
        last = len(layers.modules) - 1

        def noted(i, form, leaves, flow):
            if i == 0:
                first.append(leaves[flow])
            spec = []
            for k, t in enumerate(leaves):
                if k == flow:
                    spec.append(FLOW)
                    continue
                if id(t) not in known:
                    known[id(t)] = (t, self.side(sides, t) if t.requires_grad else self.constant(t))
                spec.append(known[id(t)][1])
            call = (form, tuple(spec))
            calls.append(self.forms.setdefault(call, call))
            return behind if behind is not None and i == last else leaves[flow].detach()

        loss = layers.run(batch, noted, halt=behind is None)
        self.calls.append(calls)
        self.sides.append([t.detach() for t in sides])
        return [first[0], *sides], loss

    def side(self, sides, t):
        """An input that weights before the layers made, and into which gradients lead."""
        sides.append(t)
        return ("side", len(sides) - 1)

    def constant(self, t):
        """An input that no weight made, such as a mask."""
        t = t.detach()
        key = (t.dtype, tuple(t.shape), hashlib.sha256(raw(t)).digest() if t.numel() else b"")
        self.constants.setdefault(key, t.clone())
        return ("constant", key)

    def leaves(self, b, i, flow, sides):
        """What layer i is called with."""
        form, spec = self.calls[b][i]
        pick = {"side": lambda k: sides[k], "constant": lambda k: self.constants[k]}
        return form, [flow if s == FLOW else pick[s[0]](s[1]) for s in spec]


# -------------------------------------------------------------------------------------------------------------------------- the sweeps


class Measurement:
    """One measurement: a model, its batches, and the folder that it works in."""

    def __init__(self, checkpoint, batches, folder, statistics, metadata, disk):
        self.checkpoint, self.model, self.disk = checkpoint, checkpoint.model, disk
        self.batches, self.folder, self.statistics, self.metadata = batches, folder, statistics, metadata
        self.towers = {}  # submodels that have no layer in them, by name: loaded when they are called
        self.losses = []

    def run(self):
        check = self.checkpoint
        check.check(check.part(lambda name: True))
        layers, why = self.find_layers()
        if layers is None:
            note(f"{why}; the model is run whole: all of its weights and sums are in memory, and it cannot go on where it was ended")
            return self.whole()
        self.layers = layers
        parts = check.parts(layers.of)
        self.parts = [parts[i] for i in range(len(layers.modules))]
        for part in self.parts:
            check.check(part)
        self.inner = sum(part.size() for part in self.parts)
        self.forward()
        self.turn()
        self.backward()
        self.end()

    # The parts

    def outer(self):
        """What is before and behind the layers, as far as it is called."""
        return self.checkpoint.part(lambda name: not self.layers.owns(name) and not self.in_towers(name))

    def in_towers(self, name):
        return any(name.startswith(t + ".") for t in self.towers)

    def find_layers(self):
        """The list of layers with the most weights that stands alone."""
        lists = []
        for name, m in self.model.named_modules():
            if isinstance(m, torch.nn.ModuleList) and len(m) > 0:
                lists.append((sum(p.numel() for p in m.parameters()), name, m))
        why = "it has no list of layers"
        for k, (_, name, modules) in enumerate(sorted(lists, key=lambda x: -x[0])[:8]):
            layers = Layers(name, modules, self.loss)
            self.layers = layers
            try:
                if any(layers.owns(n) and not layers.owns(a) for n, all in self.checkpoint.aliases.items() for a in all):
                    raise NotStreamed(f"weights of {name} are tied to others")
                self.find_towers()
                self.checkpoint.load(self.outer())
                layers.probe(self.batches[0])
                return layers, None
            except NotStreamed as e:
                why = str(e) if k == 0 else why
            layers.restore()
            self.unwatch()
            self.checkpoint.unload(self.checkpoint.part(lambda name: True))
        return None, why

    def find_towers(self):
        """Submodels beside the layers, such as that of images, are loaded when a pass calls them."""
        self.towers, self.watching = {}, []
        for name, m in self.model.named_modules():
            if isinstance(m, transformers.PreTrainedModel) and name and not self.layers.owns(name):
                if not (self.layers.name + ".").startswith(name + ".") and not any(name.startswith(t + ".") for t in self.towers):
                    self.towers[name] = m
        for name, m in self.towers.items():
            self.watching.append(m.register_forward_pre_hook(self.called(name)))

    def called(self, name):
        def hook(module, args):
            if self.towers.pop(name, None) is not None:
                self.checkpoint.load(self.checkpoint.part(lambda n: n.startswith(name + ".")))

        return hook

    def unwatch(self):
        for h in self.watching:
            h.remove()

    def loss(self, batch):
        """The loss of a batch."""
        device = self.checkpoint.device
        out = self.model(**{k: v.to(device) for k, v in batch.items()}, **self.checkpoint.options)
        if getattr(out, "loss", None) is None:
            raise Unusable(f"{type(self.model).__name__} gives no loss: nothing has a gradient")
        return out.loss

    def finite(self, b, loss):
        loss = loss.detach()
        if not torch.isfinite(loss):
            raise Unusable(f"{self.checkpoint.folder}: the loss of sample {b + 1} is {float(loss)}" + ("; --dtype float32 may help" if self.checkpoint.dtype != torch.float32 else ""))
        return float(loss)

    # The sweeps

    def kept(self, kind, i):
        return Kept(self.folder, f"{kind}-{i:05}")

    def forward(self):
        """Keeps what goes in at every layer."""
        check, layers, count = self.checkpoint, self.layers, len(self.layers.modules)
        emit("begin", step="forward", index=1, count=2, bytes=self.inner)
        self.tape = Tape()
        turned = os.path.exists(os.path.join(self.folder, "turn.json"))
        done = count if turned else max((i for i in range(count + 1) if self.kept("in", i).there()), default=-1)
        into = self.kept("in", max(done, 0))
        with into.written(self.disk) if done < 0 else contextlib.nullcontext(lambda t: None) as append:
            for batch in self.batches:
                append(self.tape.record(layers, batch)[0][0])
        check.unload(self.outer())
        if not turned:
            self.check_space(os.path.getsize(into.path) * (count - max(done, 0) + 1))
        for i, part in enumerate(self.parts):
            if i < done:
                advance(part.size())
                continue
            out = self.kept("in", i + 1)
            with self.loaded(i, then=i + 1), torch.no_grad(), into.reader(check.device) as read, out.written(self.disk) as append:
                for b in range(len(self.batches)):
                    form, leaves = self.tape.leaves(b, i, read(b)[0], self.tape.sides[b])
                    append(layers.call(i, form, leaves))
                    advance(part.size() / len(self.batches))
            into = out
        self.disk.wait()
        advance(0, at_once=True)

    def check_space(self, size):
        """Demands that the disk can hold what goes in at the layers that are left."""
        free = shutil.disk_usage(self.folder).free
        if free < size:
            raise Failed(f"{self.folder}: what goes in at {some(len(self.parts), 'layer')} takes {size / 1e9:.{digits(free)}f} GB more, of which {free / 1e9:.{digits(free)}f} are free: free some, or measure on fewer or shorter samples (--samples, --length)")

    @contextlib.contextmanager
    def loaded(self, i, then):
        """Has one layer in memory, and says which comes then."""
        if i % TRIMMED == 0:
            trim()
        self.checkpoint.load(self.parts[i])
        if 0 <= then < len(self.parts):
            self.checkpoint.ahead(self.parts[then])
        yield
        self.checkpoint.unload(self.parts[i])

    def turn(self):
        """Takes the loss of every batch, its gradient with respect to what the last layer gave, and with respect to the weights behind."""
        check, layers, count = self.checkpoint, self.layers, len(self.layers.modules)
        part = self.outer()
        outer = part.size()
        emit("begin", step="backward", index=2, count=2, bytes=self.inner + 2 * outer)
        path = os.path.join(self.folder, "turn.json")
        if os.path.exists(path):
            told = recalled(path)
            self.behind, self.before, self.losses = set(told["behind"]), set(told["before"]), told["losses"]
            advance(outer)
            return
        check.load(part)
        sums, back = Sums(self.statistics), self.kept("back", count)
        with self.kept("in", count).reader(check.device) as read, back.written(self.disk) as append:
            self.divide(part, read(0)[0])
            mine = {n: p for n, p in check.parameters(part).items() if n in self.behind and n not in self.before}
            self.asked(part, mine)
            sums.watch(mine)
            for b, batch in enumerate(self.batches):
                flow = read(b)[0].requires_grad_()
                loss = layers.run(batch, self.behind_of(flow), halt=False)
                self.losses.append(self.finite(b, loss))
                loss.backward()
                append(flow.grad, *[None] * len(self.tape.sides[b]))
                advance(outer / len(self.batches))
        check.unload(part)
        self.write("behind", self.part_behind(), sums)
        self.disk.wait()
        told = {"behind": sorted(self.behind), "before": sorted(self.before), "losses": self.losses}
        replace(path, lambda f: f.write(json.dumps(told).encode()))

    def part_behind(self):
        """The weights that are behind the layers alone."""
        return self.checkpoint.part(lambda n: self.checkpoint.aliases.get(n, [n])[0] in self.behind - self.before)

    def asked(self, part, mine):
        """Asks for the gradients of some of a part's parameters."""
        for n, p in self.checkpoint.parameters(part).items():
            p.requires_grad_(n in mine)

    def behind_of(self, flow):
        """Stand-ins that pass on, the last of them what the last layer gave."""
        last = len(self.layers.modules) - 1
        return lambda i, form, leaves, at: flow if i == last else leaves[at].detach()

    def divide(self, part, flow):
        """Finds which weights are behind and which before the layers, on one batch. Tied ones are both."""
        parameters = self.checkpoint.parameters(part)
        flow = flow.detach().requires_grad_()
        loss = self.layers.run(self.batches[0], self.behind_of(flow), halt=False)
        self.behind = reached([loss], parameters)
        if not reached([loss], {"flow": flow}):
            raise Unusable("the loss does not depend on the layers")
        self.before = reached(Tape().record(self.layers, self.batches[0])[0], parameters)

    def backward(self):
        """Adds the gradients of the layers' weights, the last layer first."""
        check, count = self.checkpoint, len(self.layers.modules)
        done = min(i for i in range(count + 1) if self.kept("back", i).there())
        out = self.kept("back", done)
        for i in reversed(range(count)):
            part = self.parts[i]
            if i >= done:
                advance(part.size())
                continue
            sums, back = Sums(self.statistics), self.kept("back", i)
            with self.loaded(i, then=i - 1):
                sums.watch(check.parameters(part))
                with self.kept("in", i).reader(check.device) as read, out.reader(check.device) as gradients, back.written(self.disk) as append:
                    for b in range(len(self.batches)):
                        append(*self.back(i, b, read(b)[0], gradients(b)))
                        advance(part.size() / len(self.batches))
                    self.write(f"layer-{i:05}", part, sums)
            self.disk.then(out.remove)
            if i + 1 < count or not self.before & self.behind:
                self.disk.then(self.kept("in", i + 1).remove)
            out = back
        self.disk.wait()

    def back(self, i, b, flow, gradients):
        """Runs a layer again, and leads the gradient of what it gave back to what went in."""
        if gradients[0] is None:
            return gradients
        flow.requires_grad_()
        sides = [t.detach().requires_grad_() for t in self.tape.sides[b]]
        form, leaves = self.tape.leaves(b, i, flow, sides)
        out = self.layers.call(i, form, leaves)
        torch.autograd.backward(out, gradients[0])
        return [flow.grad, *[plus(t.grad, g) for t, g in zip(sides, gradients[1:])]]

    def end(self):
        """Adds the gradients of the weights before the layers; where some are behind as well, both at once."""
        check, layers, part = self.checkpoint, self.layers, self.outer()
        check.load(part)
        mine = {n: p for n, p in check.parameters(part).items() if n in self.before}
        self.asked(part, mine)
        shared = bool(self.before & self.behind)
        outer = part.size()
        sums, last = Sums(self.statistics), self.kept("in", len(layers.modules))
        sums.watch(mine)
        with self.kept("back", 0).reader(check.device) as gradients, last.reader(check.device) if shared else contextlib.nullcontext() as read:
            for b, batch in enumerate(self.batches if mine else []):
                roots, loss = Tape().record(layers, batch, read(b)[0] if shared else None)
                led = [(t, g) for t, g in zip(roots, gradients(b)) if g is not None and t.requires_grad]
                led += [(loss, None)] if shared else []
                torch.autograd.backward([t for t, _ in led], [g for _, g in led])
                advance(outer / len(self.batches))
        check.unload(part)
        done = self.part_behind().state
        self.write("outer", check.part(lambda n: n in part.state and n not in done), sums)
        self.write_untouched()
        advance(0, at_once=True)

    def whole(self):
        """Runs a model that has no layers to be taken one by one."""
        check = self.checkpoint
        everything = check.part(lambda name: True)
        check.load(everything)
        size = everything.size()
        emit("begin", step="whole", index=1, count=1, bytes=size)
        sums = Sums(self.statistics)
        sums.watch(check.parameters(everything))
        for b, batch in enumerate(self.batches):
            try:
                loss = self.loss(batch)
            except (Failed, MemoryError, torch.OutOfMemoryError):
                raise
            except Exception as e:
                raise Unusable(f"{type(self.model).__name__} does not take samples of these: {told(e)}") from None
            self.losses.append(self.finite(b, loss))
            loss.backward()
            advance(size / len(self.batches))
        check.unload(everything)
        self.write("whole", everything, sums)
        advance(0, at_once=True)

    # What is written

    def write(self, name, part, sums):
        """Writes the means of a part, in one file for each statistic."""
        for statistic in self.statistics:
            tensors = self.checkpoint.as_stored(part, sums.means(statistic, len(self.batches)))
            if tensors:
                self.put(statistic, name, tensors)

    def put(self, statistic, name, tensors):
        folder = os.path.join(self.folder, statistic)
        os.makedirs(folder, exist_ok=True)
        write_safetensors(os.path.join(folder, name + ".safetensors"), tensors, {"weld.statistic": statistic, **self.metadata}, self.disk)

    def write_untouched(self):
        """Writes zeros for submodels that no sample went through."""
        if not self.towers:
            return
        note(f"no sample went through {', '.join(sorted(self.towers))}: the importance of these weights is 0")
        for statistic in self.statistics:
            self.put(statistic, "untouched", self.checkpoint.as_stored(self.checkpoint.part(self.in_towers), {}))

    def index(self):
        """Writes the index of what was measured."""
        self.disk.wait()
        for statistic in self.statistics:
            folder, names = os.path.join(self.folder, statistic), {}
            for file in sorted(os.listdir(folder)):
                if file.endswith(".safetensors"):
                    with safetensors.safe_open(os.path.join(folder, file), framework="pt") as f:
                        names.update(dict.fromkeys(f.keys(), file))
            check = self.checkpoint
            lost = [k for table in (check.direct, check.converted) for keys in table.values() for k in keys if floating(check.stored[k]) and k not in names]
            if lost:
                raise Failed(f"{folder} has lost what was measured of {lost[0]}: remove the folder that it is in, and begin anew")
            text = json.dumps({"metadata": {}, "weight_map": names})
            replace(os.path.join(folder, "model.safetensors.index.json"), lambda f: f.write(text.encode()))
        lost = [k for k in self.checkpoint.foreign if floating(self.checkpoint.stored[k])]
        if lost:
            note(f"left out: {some(len(lost), 'tensor')} of the files that transformers does not load: {', '.join(lost[:3])}" + (", …" if len(lost) > 3 else ""))


def reached(roots, leaves):
    """Which of the leaves, by name, gradients of the roots lead to."""
    roots = [t for t in roots if t.requires_grad]
    asked = {n: t for n, t in leaves.items() if t.requires_grad}
    if not roots or not asked:
        return set()
    grads = torch.autograd.grad([t.sum() for t in roots], list(asked.values()), retain_graph=True, allow_unused=True)
    return {n for n, g in zip(asked, grads) if g is not None}


def plus(a, b):
    """The sum of gradients, of which there may be none."""
    return a if b is None else b if a is None else a + b


# ----------------------------------------------------------------------------------------------------------------------------- samples


def reservoir(rows, count, seed):
    """So many of the rows, each as likely, in the order in which they come."""
    draw, held = random.Random(seed), []
    for k, row in enumerate(rows):
        if len(held) < count:
            held.append((k, row))
        else:
            at = draw.randrange(k + 1)
            if at < count:
                held[at] = (k, row)
    return [row for _, row in sorted(held, key=lambda x: x[0])]


@contextlib.contextmanager
def utf8(path):
    """Opens a file of texts."""
    try:
        with open(path, encoding="utf-8-sig") as f:
            yield f
    except UnicodeDecodeError as e:
        raise Unusable(f"{path} is no text in UTF-8: {e.reason}, 0x{e.object[e.start]:02x}") from None


LONGEST = 1 << 26  # characters of a line


def rows_of(path, length):
    """The samples in a file, each with where it is."""
    kind = os.path.splitext(path)[1].lower()
    if kind in (".jsonl", ".json", ".ndjson"):
        with utf8(path) as f:
            for k, line in enumerate(iter(lambda: f.readline(LONGEST + 1), ""), 1):
                if len(line) > LONGEST:
                    raise Unusable(f"{path}: line {k} has more than {LONGEST:,} characters; a row of jsonl is one line")
                if line.strip():
                    yield f"{path}: line {k}", line
    elif kind == ".parquet":
        for k, row in enumerate(parquet_rows(path), 1):
            yield f"{path}: row {k}", row
    else:
        size = 6 * length  # characters, of which a token takes fewer in nearly all texts
        with utf8(path) as f:
            k = 0
            while piece := f.read(size):
                k += 1
                yield f"{path}: piece {k}", {"text": piece}


def parquet_rows(path):
    """The rows of a parquet file, a few in memory at a time, whatever the size of its row groups."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise Failed(f"{path}: reading parquet needs pyarrow: {sys.executable} -m pip install pyarrow") from None
    try:
        with pyarrow.parquet.ParquetFile(path, buffer_size=1 << 20, pre_buffer=False) as f:
            there = f.schema_arrow.names
            known = [c for c in ("text", "input_ids", "labels", "messages") if c in there]
            if not set(known) - {"labels"}:
                raise Unusable(f"{path} has none of the columns text, input_ids and messages: it has {', '.join(there[:8])}" + (", …" if len(there) > 8 else ""))
            for batch in f.iter_batches(batch_size=64, columns=known):
                yield from batch.to_pylist()
    except (pyarrow.ArrowException, OSError) as e:
        raise Unusable(f"{path} cannot be read as parquet: {first_line(e)}") from None


def whole(where, text):
    """Demands that a text has no half of a character."""
    try:
        text.encode()
    except UnicodeEncodeError as e:
        raise Unusable(f"{where}: its text has U+{ord(text[e.start]):04X}, half of a surrogate pair") from None
    return text


class Samples:
    """Makes samples of rows: token ids, and which of them the loss counts."""

    def __init__(self, folder, config, length):
        self.folder, self.length = folder, length
        self.vocabulary = config.get_text_config().vocab_size
        self._tokenizer = None

    @property
    def tokenizer(self):
        if self._tokenizer is None:
            try:
                self._tokenizer = transformers.AutoTokenizer.from_pretrained(self.folder, local_files_only=True, trust_remote_code=False)
            except Exception as e:
                raise Unusable(f"{self.folder} has no tokenizer that transformers can load, which texts need: {first_line(e)}") from None
        return self._tokenizer

    def sample(self, where, row):
        if isinstance(row, str):
            try:
                row = json.loads(row)
            except json.JSONDecodeError as e:
                raise Unusable(f"{where} is no JSON: {e.msg}, at character {e.pos + 1}; rows are objects, one in each line") from None
            except (ValueError, RecursionError) as e:  # too many digits, or brackets
                raise Unusable(f"{where} is no JSON that can be read: {first_line(e).partition(';')[0]}") from None
        if not isinstance(row, dict):
            raise Unusable(f"{where} is no object with text, input_ids or messages")
        row = {k: v for k, v in row.items() if v is not None}
        if "input_ids" in row:
            return self.given(where, row)
        if "messages" in row:
            return self.chat(where, row["messages"])
        if not isinstance(row.get("text"), str):
            raise Unusable(f"{where} has none of text, input_ids and messages" if "text" not in row else f"{where}: text is a {type(row['text']).__name__}, and no string")
        ids = self.known(where, self.first_tokens(whole(where, row["text"])))
        return ids, list(ids)

    def first_tokens(self, text):
        """The tokens of a text's beginning, of which no more is read than they take."""
        size = 16 * self.length  # characters
        while size < len(text) and len(self.tokenizer(text[:size])["input_ids"]) < 2 * self.length:
            size *= 2
        return self.tokenizer(text[:size], truncation=True, max_length=self.length)["input_ids"]

    def known(self, where, ids):
        """Demands that the model has what the tokenizer gives."""
        if max(ids, default=0) >= self.vocabulary:
            raise Unusable(f"{where}: the tokenizer gives token {max(ids)}, and the model has {self.vocabulary}")
        return ids

    def given(self, where, row):
        ids = row["input_ids"]
        labels = row.get("labels", ids)
        for name, list_ in (("input_ids", ids), ("labels", labels)):
            if not isinstance(list_, list) or not all(type(t) is int and (0 <= t < self.vocabulary or name == "labels" and t == -100) for t in list_):
                raise Unusable(f"{where}: {name} are no list of tokens from 0 to {self.vocabulary - 1}" + (", or -100" if name == "labels" else ""))
        if len(ids) != len(labels):
            raise Unusable(f"{where}: {len(ids)} input_ids and {len(labels)} labels")
        return ids[: self.length], labels[: self.length]

    def chat(self, where, messages):
        """A conversation as the model's template writes it, with the loss on what the assistant says alone."""
        if not isinstance(messages, list) or not messages or not all(isinstance(m, dict) and isinstance(m.get("role"), str) for m in messages):
            raise Unusable(f"{where}: messages are no list of objects that each have a role, and content")
        try:
            return self.answers(where, messages)
        except Unusable:
            raise
        except Exception as e:  # templates raise what they like
            raise Unusable(f"{where}: the chat template does not take these messages: {first_line(e)}") from None

    def answers(self, where, messages):
        write = lambda upto, prompt: self.tokenizer.apply_chat_template(messages[:upto], tokenize=False, add_generation_prompt=prompt)
        text, spans = whole(where, write(len(messages), False)), []
        for k, m in enumerate(messages):
            if m["role"] == "assistant":
                if k == 0:
                    raise Unusable(f"{where} begins with an answer, before which the chat template has nothing to write; give input_ids and labels")
                start, end = write(k, True), write(k + 1, False)
                if not end.startswith(start) or not text.startswith(end):
                    raise Unusable(f"{where}: the chat template writes answer {k + 1} in another way when more follows; give input_ids and labels")
                spans.append((len(start), len(end)))
        made = self.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        ids = self.known(where, made["input_ids"])
        labels = [t if any(a <= at < b for a, b in spans) else -100 for t, (at, _) in zip(ids, made["offset_mapping"])]
        return ids[: self.length], labels[: self.length]


def samples_from(path, checkpoint, a):
    """The samples of a file."""
    if checkpoint.model.main_input_name != "input_ids":
        raise Unusable(f"{type(checkpoint.model).__name__} reads {checkpoint.model.main_input_name} and no texts; leave the texts out, and values at random serve")
    if not os.path.exists(path):
        raise Unusable(f"{path} does not exist")
    maker = Samples(a.model, checkpoint.config, a.length)
    out, short = [], 0
    for where, row in reservoir(rows_of(path, a.length), a.samples, a.seed):
        ids, labels = maker.sample(where, row)
        if len(ids) < 2 or all(t == -100 for t in labels[1:]):
            short += 1
            continue
        out.append({"input_ids": ids, "labels": labels})
    nothing = f"less than two tokens, or none in the first {a.length} that the loss counts"
    if not out:
        raise Unusable(f"{path} has no sample" + (f": {some(short, 'row')} with {nothing}" if short else ""))
    if short:
        note(f"{path}: {some(short, 'sample')} with {nothing}: passed over")
    if len(out) < a.samples:
        note(f"{path} has {some(len(out), 'sample')} of the {a.samples} asked for")
    return out


def special_tokens(config):
    """Tokens that a configuration names, as places of images: none to be drawn."""
    found = set()
    for c in [config, *[getattr(config, k, None) for k in config.sub_configs]]:
        for key, value in (vars(c) if c is not None else {}).items():
            if re.search(r"token_(id|index)$", key):
                found.update(t for t in (value if isinstance(value, list) else [value]) if isinstance(t, int))
    return found


def random_tokens(checkpoint, a):
    """Samples of tokens at random, each as likely (arXiv 2603.21705)."""
    config = checkpoint.config
    special = special_tokens(config)
    kinds = [t for t in range(config.get_text_config().vocab_size) if t not in special]
    draw = random.Random(a.seed)
    out = []
    for _ in range(a.samples):
        ids = draw.choices(kinds, k=a.length)
        out.append({"input_ids": ids, "labels": list(ids)})
    return out


def random_images(checkpoint, a):
    """Images of noise, with labels at random."""
    c = checkpoint.config
    size = c.image_size if isinstance(c.image_size, (list, tuple)) else (c.image_size, c.image_size)
    draw = torch.Generator().manual_seed(a.seed)
    count = getattr(c, "num_labels", 0)
    out = []
    for _ in range(a.samples):
        pixels = torch.randn(1, c.num_channels, *size, generator=draw).to(checkpoint.dtype)
        out.append({"pixel_values": pixels, "labels": torch.randint(count, (1,), generator=draw)})
    return out


def batched(samples, size, config):
    """Samples side by side; shorter ones are filled up on the right with what nothing looks at."""
    if "pixel_values" in samples[0]:
        return [{k: torch.cat([s[k] for s in samples[i : i + size]]) for k in samples[0]} for i in range(0, len(samples), size)]
    fill = getattr(config.get_text_config(), "pad_token_id", None) or 0
    out = []
    for i in range(0, len(samples), size):
        some = samples[i : i + size]
        longest = max(len(s["input_ids"]) for s in some)
        pad = lambda s, key, value: s[key] + [value] * (longest - len(s["input_ids"]))
        batch = {"input_ids": torch.tensor([pad(s, "input_ids", fill) for s in some]), "labels": torch.tensor([pad(s, "labels", -100) for s in some])}
        if any(len(s["input_ids"]) < longest for s in some):
            batch["attention_mask"] = torch.tensor([[1] * len(s["input_ids"]) + [0] * (longest - len(s["input_ids"])) for s in some])
        out.append(batch)
    return out


# ---------------------------------------------------------------------------------------------------------------------------- the run


def arguments(argv):
    p = argparse.ArgumentParser(prog="measure.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--model", required=True, metavar="DIR", help="a model as transformers saves it, in safetensors")
    p.add_argument("--out", required=True, metavar="FOLDER", help="where everything is written")
    p.add_argument("--texts", metavar="FILE", help="jsonl, parquet or text; without it tokens at random")
    p.add_argument("--samples", type=int, default=128)
    p.add_argument("--length", type=int, default=512, help="tokens of a sample at most")
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--device", default="cpu")
    p.add_argument("--dtype", default="auto", choices=["auto", "float32", "bfloat16", "float16", "float64"])
    p.add_argument("--batch", type=int, default=1, help="samples whose gradient is taken at once: magnitudes are then of means over a batch")
    p.add_argument("--statistic", default="mean_abs_grad", choices=[*STATISTICS, "both"])
    p.add_argument("--name", help="what the file calls the model")
    p.add_argument("--digest", help="the digest that the file has of the model")
    p.add_argument("--whole", action="store_true", help="run the model whole, whatever its layers")
    p.add_argument("--with-parent", action="store_true", help="end when standard input does, as it does when whoever began this has gone")
    return p.parse_args(argv)


def end_with_parent():
    """Ends the process, whatever it is at, when standard input ends."""

    def wait():
        while os.read(0, 1 << 12):  # not sys.stdin: its lock would be held when the interpreter ends
            pass
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def measure(a):
    torch.manual_seed(a.seed)
    try:
        float(torch.ones(1, device=a.device))
    except Exception as e:
        raise Failed(f"--device {a.device}: {first_line(e)}") from None
    checkpoint = Checkpoint(a.model, a.dtype, a.device)
    places = getattr(checkpoint.config.get_text_config(), "max_position_embeddings", None)
    if isinstance(places, int) and 2 <= places < a.length:
        note(f"the model has {places} positions: samples are cut to as many tokens, in place of {a.length}")
        a.length = places
    if a.texts:
        samples = samples_from(a.texts, checkpoint, a)
    elif checkpoint.model.main_input_name == "pixel_values":
        samples = random_images(checkpoint, a)
    elif checkpoint.model.main_input_name == "input_ids":
        samples = random_tokens(checkpoint, a)
    else:
        raise Unusable(f"{type(checkpoint.model).__name__} reads {checkpoint.model.main_input_name}, for which there are no samples")
    name = type(checkpoint.model).__name__
    if (name.endswith("ForMaskedLM") or checkpoint.config.is_encoder_decoder) and any(s["labels"] == s.get("input_ids") for s in samples):
        note(f"{name} reads the tokens that it is to give, which is not how it was trained: rows of input_ids, with labels, can be")
    batches = batched(samples, a.batch, checkpoint.config)
    tokens = sum(len(s.get("input_ids", ())) for s in samples)
    said = {
        "model": a.name or a.model, "digest": a.digest, "samples": len(samples), "tokens": tokens, "dtype": str(checkpoint.dtype).removeprefix("torch."), "batch": a.batch,
        "texts": a.texts or "random", "length": a.length, "seed": a.seed, "torch": torch.__version__, "transformers": transformers.__version__,
    }
    statistics = STATISTICS if a.statistic == "both" else (a.statistic,)
    metadata = {"weld.importance": json.dumps({k: v for k, v in said.items() if v is not None})}
    with Disk() as disk:
        m = Measurement(checkpoint, batches, a.out, statistics, metadata, disk)
        if a.whole:
            m.whole()
        else:
            m.run()
        m.index()
    emit("done", samples=len(samples), tokens=tokens, loss=sum(m.losses) / len(m.losses), dtype=said["dtype"])


def main(argv):
    global torch, transformers, safetensors
    a = arguments(argv)
    if a.with_parent:
        end_with_parent()
    try:
        import safetensors
        import torch
        import transformers
    except ImportError as e:
        emit("missing", python=sys.executable, what=e.name or str(e))
        return 1
    if int(transformers.__version__.split(".")[0]) < 5:
        emit("missing", python=sys.executable, what=f"transformers 5 (it has {transformers.__version__})")
        return 1
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    try:
        measure(a)
    except Failed as e:
        emit("unusable" if isinstance(e, Unusable) else "error", text=str(e))
        return 1
    except (MemoryError, torch.OutOfMemoryError) as e:
        emit("error", text=f"measuring {a.name or a.model}: no memory is left: {first_line(e)}")
        return 1
    except KeyboardInterrupt:
        return 130
    except Exception as e:
        if isinstance(e, OSError) and e.errno in (errno.ENOSPC, errno.EDQUOT):
            emit("error", text=f"{a.out}: {e.strerror}")
        elif not a.with_parent:
            raise  # for whoever looks for the cause
        else:
            emit("error", text=f"measuring {a.name or a.model} failed: {told(e)}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
