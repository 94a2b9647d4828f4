"""Says whether what measure.py imports is installed, and which versions, without loading it, which takes seconds."""

import importlib.metadata
import importlib.util
import json
import sys



def version(name):
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:  # a source tree in the path
        return "of no version"


lacking = [name for name in ("torch", "transformers", "safetensors", "numpy") if importlib.util.find_spec(name) is None]
if lacking:
    print(json.dumps({"event": "missing", "python": sys.executable, "what": " and no ".join(lacking)}))
else:
    versions = [f"{name} {version(name)}" for name in ("torch", "transformers")]
    print(json.dumps({"event": "done", "what": ", ".join(versions)}))
sys.exit(len(lacking) > 0)
