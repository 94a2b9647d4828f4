"""What the authors' program of OTA merging makes of small models, for stream/fuse/methods/ota_test.go.

    python3 .ci/interop/ota_golden.py CHECKOUT > stream/fuse/methods/testdata/ota.json

CHECKOUT is github.com/pmahdavi/ota-merge at eee703f. Of it only mergekit/merge_methods/ota.py is run, its arithmetic as
it stands; what that imports of its own copy of mergekit (graph, configuration) is stood in for by a few empty names, since
that copy does not run with current pydantic. Needs torch (any 2.x), numpy and safetensors.

Thresholds are what its README has people look up by density: here the middle between the last score that is kept and
the next one, so that rounding does not decide.
"""
import importlib.util
import json
import logging
import math
import pathlib
import sys
import tempfile
import types

import numpy as np
import torch
from safetensors.torch import save_file

logging.disable(logging.CRITICAL)


class Task:
    def __class_getitem__(cls, _):
        return cls

    @classmethod
    def of(cls, **fields):
        task = cls.__new__(cls)
        task.__dict__.update(fields)
        task.model_post_init(None)
        return task


class Frozen(dict):
    def __class_getitem__(cls, _):
        return cls


def stand_in(name, **names):
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__dict__.update(names)


def authors(checkout):
    for name in ("mergekit", "mergekit.merge_methods"):
        stand_in(name)
    stand_in("mergekit.architecture", WeightInfo=object)
    stand_in("mergekit.common", ImmutableMap=Frozen, ModelReference=str)
    stand_in("mergekit.graph", Task=Task)
    stand_in("mergekit.merge_methods.base", ConfigParameterDef=object, MergeMethod=object, MergeTensorInput=object)
    stand_in("mergekit.merge_methods.rectify_embed", rectify_embed_sizes=lambda *_: None)
    stand_in("mergekit.options", MergeOptions=object)
    spec = importlib.util.spec_from_file_location("ota", pathlib.Path(checkout) / "mergekit/merge_methods/ota.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def rank_one(v):
    return torch.outer(v.sum(1), v.sum(0) / v.sum()) if v.ndim == 2 else v


def threshold(v, theta, base, density, by_sums):
    scores = [(rank_one(v[k]) if by_sums else v[k]).double() * (theta[k] - base[k]).double() ** 2 for k in base]
    scores = torch.sort(torch.cat([s.flatten() for s in scores]), descending=True).values
    kept = math.ceil(density * len(scores))
    return float((scores[kept - 1] + scores[kept]) / 2)


def main():
    ota = authors(sys.argv[1])
    r = np.random.default_rng(3)
    shapes = {"a": (7, 5), "b": (9, 4), "c": (11,)}
    tensors = lambda make: {k: torch.tensor(make(s), dtype=torch.float32) for k, s in shapes.items()}
    base = tensors(lambda s: r.normal(size=s))
    models = [{k: base[k] + d for k, d in tensors(lambda s: r.normal(size=s) * 1e-2 * (r.random(s) < 0.8)).items()} for _ in range(3)]
    moments = [tensors(lambda s: np.exp(3 * r.normal(size=s) - 14)) for _ in range(3)]
    weights = [1.0, 0.5, 2.0]
    listed = lambda x: {k: [float(e) for e in v.flatten()] for k, v in x.items()}
    out = {"shapes": shapes, "base": listed(base), "models": [listed(m) for m in models], "moments": [listed(v) for v in moments], "weights": weights, "cases": []}
    with tempfile.TemporaryDirectory() as folder:
        for m, v in enumerate(moments):
            save_file(v, f"{folder}/{m}.safetensors")
        for densities in (None, [0.2, 0.5, 0.35], [0.05, 0.9, 0.6]):
            for by_sums in (False, True):
                own = {}
                for m in range(3):
                    own[f"m{m}"] = {"preconditioner_path": f"{folder}/{m}.safetensors", "scaling_factor": weights[m], "rank1_approx": by_sums}
                    if densities:
                        own[f"m{m}"]["precond_threshold"] = threshold(moments[m], models[m], base, densities[m], by_sums)
                want = {}
                for k in shapes:
                    task = ota.OTAMergeTask.of(
                        gather_tensors=None, tensor_parameters=own, weight_info=types.SimpleNamespace(name=k), base_model_ref="base",
                        epsilon=1e-26, normalise_mode="none", precond_power=0.5, precond_threshold=None, fallback_to_base=True,
                        rescale=False, approximate_norm=False, rescale_relative_threshold=1e-6, masked_task_vector_merge_method="precond", ties_density=None)
                    want[k] = task.execute({"base": base[k], **{f"m{m}": models[m][k] for m in range(3)}})
                out["cases"].append({"densities": densities or [1, 1, 1], "rank_one": by_sums, "want": listed(want)})
    print(json.dumps(out))


main()
