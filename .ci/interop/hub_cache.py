"""Where huggingface_hub keeps models, by the environment: is the table of format/hub/environment_test.go still true?

    python hub_cache.py          wants huggingface_hub (requirements-torch.txt has it) and a Unix

Each line of the table is an environment and the cache that the library's constants name in it.
"""

import os
import pathlib
import re
import subprocess
import sys

TABLE = pathlib.Path(__file__).parents[2] / "format/hub/environment_test.go"
SCRIPT = "from huggingface_hub import constants; print(constants.HF_HUB_CACHE, end='')"


def cache(environment):
    known = {"PATH": os.environ["PATH"], "HOME": "/home/me", "D": "/d", "T": "~", "V": "$D", "PYTHONUTF8": "1"}
    settings = dict(setting.split("=", 1) for setting in environment.split())
    return subprocess.run([sys.executable, "-c", SCRIPT], env=known | settings, capture_output=True, check=True).stdout.decode()


def main():
    lines = re.findall(r'^\t\t\{"(.*)", "(.*)"\},(?: //.*)?$', TABLE.read_text(encoding="utf-8"), re.MULTILINE)
    wrong = [f"{environment!r}: {said!r}, the table has {want!r}" for environment, want in lines if (said := cache(environment)) != want]
    print("\n".join(wrong) or f"{len(lines)} environments agree")
    return 1 if wrong or not lines else 0


if __name__ == "__main__":
    sys.exit(main())
