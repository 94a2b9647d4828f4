"""Says whether what measure.py imports is installed, without loading it, which takes seconds."""

import importlib.util
import json
import sys

lacking = [name for name in ("torch", "transformers", "safetensors", "numpy") if importlib.util.find_spec(name) is None]
if lacking:
    print(json.dumps({"event": "missing", "python": sys.executable, "what": " and no ".join(lacking)}))
else:
    print(json.dumps({"event": "done"}))
sys.exit(len(lacking) > 0)
