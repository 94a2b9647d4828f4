"""The domains: texts that Debian's packages and Python ship, as windows of tokens.

Each domain is split by document (a page, a book of the Bible, a module, a stretch of a dictionary), so that no document is in both parts.
"""

import glob
import gzip
import pathlib
import random
import re
import subprocess
import sysconfig

WINDOW = 256  # tokens
HELD = 16  # windows of each domain that no training and no importance sees
POOL = 400  # windows that seeds draw from

PACKAGES = ("manpages-de", "manpages-fr", "bible-kjv", "bible-kjv-text", "dict-gcide")


def fetched(directory):
    """The files of Debian's packages, unpacked below directory and not installed."""
    root = directory / "debian"
    if not (root / "complete").exists():
        root.mkdir(parents=True, exist_ok=True)
        for package in PACKAGES:
            subprocess.run(["apt-get", "download", "-q", package], cwd=root, check=True, stderr=subprocess.DEVNULL)
            (archive,) = root.glob(f"{package}_*.deb")
            subprocess.run(["dpkg-deb", "-x", archive, root], check=True)
        (root / "complete").touch()
    return root


def page(source):
    """The words of a manual page, without most of what roff obeys."""
    lines = []
    for line in source.splitlines():
        if line.startswith(("." , "'")):
            request, _, rest = line[1:].strip().partition(" ")
            if request in ("SH", "SS"):
                lines += ["", rest.strip('"')]
            elif request in ("B", "I", "BR", "IR", "RB", "RI", "BI", "IB", "SM"):
                lines.append(rest.replace('"', ""))
            elif request in ("PP", "P", "TP", "IP", "LP", "HP"):
                lines.append("")
        else:
            lines.append(line)
    text = re.sub(r"\\f\(..|\\f\[[^]]*\]|\\f.|\\s[+-]?\d|\\[&,/|:%]", "", "\n".join(lines))
    for escape, character in (r"\-", "-"), (r"\(bu", "•"), (r"\(aq", "'"), (r"\(cq", "'"), (r"\(dq", '"'), (r"\(co", "©"), (r"\e", "\\"), (r"\ ", " "):
        text = text.replace(escape, character)
    return re.sub(r"\n{3,}", "\n\n", re.sub(r"\\\(..", "", text))


def pages(root, language):
    files = sorted(glob.glob(f"{root}/usr/share/man/{language}/man*/*.gz"))
    return {f: page(gzip.open(f, "rt", errors="replace").read()) for f in files if not pathlib.Path(f).is_symlink()}


def books(root):
    command = [root / "usr/bin/bible", "-p", root / "usr/lib", "-l70", "gen1:1-rev22:21"]
    books, book = {}, None
    for line in subprocess.run(command, capture_output=True, text=True, input="", check=True).stdout.splitlines():
        if head := re.fullmatch(r"([A-Z0-9][A-Za-z0-9 ]*?) \d+\s*", line):
            book = books.setdefault(head[1], [])
        if book is not None:
            book.append(line)
    return {name: "\n".join(lines) for name, lines in books.items()}


def modules():
    library = sysconfig.get_paths()["stdlib"]
    files = [f for f in sorted(glob.glob(f"{library}/*.py") + glob.glob(f"{library}/*/*.py")) if not re.search("site-packages|dist-packages|/test|encodings|idlelib", f)]
    return {f: text for f in files if len(text := open(f, errors="replace").read()) > 2000}


def stretches(root):
    """Webster's dictionary in stretches of 16,000 characters."""
    text = gzip.open(root / "usr/share/dictd/gcide.dict.dz", "rt", errors="replace").read()
    return {str(at): text[at : at + 16000] for at in range(200000, len(text) - 16000, 80000)}


def at_hand():
    """Three domains that need no network: Python's library, and this repository's documents and program."""
    root = pathlib.Path(__file__).parents[2]
    files = {"go": root.glob("s*/**/*.go"), "markdown": [*root.glob("*.md"), *root.glob("docs/**/*.md"), *root.glob("examples/**/*.md")]}
    return {"python": modules()} | {domain: {str(f): f.read_text() for f in sorted(found)} for domain, found in files.items()}


def documents(directory):
    """Each domain's documents, by name."""
    root = fetched(directory)
    return {"german": pages(root, "de"), "french": pages(root, "fr"), "bible": books(root), "python": modules(), "dictionary": stretches(root)}


def windows(texts, tokenizer, few):
    """Windows of the documents, at most few of each, drawn from all its text. They begin as the tokenizer begins texts."""
    first = tokenizer("").input_ids
    step = WINDOW - len(first)
    out = []
    for text in texts:
        ids = tokenizer(text[:200000], add_special_tokens=False).input_ids
        cut = [first + ids[at : at + step] for at in range(0, len(ids) - step + 1, step)]
        out += random.Random(0).sample(cut, min(len(cut), few))
    return out


def domains(documents, tokenizer):
    """For each domain the windows that are held out, and those that are drawn from."""
    out = {}
    for domain, texts in documents.items():
        names = sorted(texts)
        random.Random(1).shuffle(names)
        held = max(10, len(names) // 8)
        few = 6 if len(texts) < 100 else 2
        out[domain] = {}
        for part, chosen, few, most in ("held", names[:held], few, HELD), ("train", names[held : held + 250], 8 * few, POOL):
            cut = windows((texts[name] for name in chosen), tokenizer, few)
            random.Random(2).shuffle(cut)
            if len(cut) < most // 2:
                raise SystemExit(f"{domain}: {len(cut)} windows of {WINDOW} tokens to be {part}, {most} wanted")
            out[domain][part] = cut[:most]
    return out
