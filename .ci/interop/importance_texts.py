"""Holds what measure.py makes of texts to what is expected of each form: rows of jsonl and parquet, plain text."""

import json
import os
import pathlib
import random
import subprocess
import sys
from unittest import mock

import transformers
from importance_small import heard, made, measure
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

TEMPLATE = "{% for m in messages %}<{{m.role}}>{{m.content}}{% if 'name' in m %}({{m.name}}){% endif %};{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"


class Texts:
    """A model whose tokens are bytes, and files of texts for it."""

    def __init__(self, root):
        self.folder = root / "texts"
        made("gpt2", False).save_pretrained(self.folder)
        config = json.loads((self.folder / "config.json").read_text())
        (self.folder / "config.json").write_text(json.dumps({**config, "vocab_size": 256}))
        letters = sorted(pre_tokenizers.ByteLevel.alphabet())
        tokenizer = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate(letters)}, merges=[]))
        tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
        self.tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, chat_template=TEMPLATE)
        self.tokenizer.save_pretrained(self.folder)
        self.config = transformers.AutoConfig.from_pretrained(self.folder)
        self.model = self  # of which samples are told what they are read by
        self.main_input_name = "input_ids"

    def samples(self, path, *args):
        """What is made of a file, and what is noted."""
        asked = measure.arguments(["--model", str(self.folder), "--out", "", "--length", "64", *map(str, args)])
        with heard() as events:
            found = measure.samples_from(str(path), self, asked)
        return [(s["input_ids"], s["labels"]) for s in found], [said["text"] for _, said in events]

    def of(self, name, content, *args):
        """What is made of a file that holds this."""
        path = self.folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return self.samples(path, *args)[0]

    def ids(self, text):
        return self.tokenizer(text)["input_ids"]

    def plain(self, *texts):
        return [(self.ids(t), self.ids(t)) for t in texts]

    def refused(self, says, make, *args):
        try:
            got = make(*args)
        except measure.Unusable as e:
            assert says in str(e), f"{e}: {says} expected"
        else:
            raise AssertionError(f"no word of {says}: {str(got)[:200]}")


def same(got, want):
    assert got == want, f"{str(got)[:300]}, want {str(want)[:300]}"


def jsonl(root):
    """Rows of text, of tokens, of both; with a byte order mark, null, CRLF, empty lines, and any Unicode."""
    t = Texts(root)
    same(t.of("a.jsonl", '{"text": "one"}\r\n\r\n \n{"text": "caf\u00e9 \U0001f600\u2028 \\u00e9"}'), t.plain("one", "caf\u00e9 \U0001f600\u2028 \u00e9"))
    same(t.of("a.ndjson", b'\xef\xbb\xbf{"text": "aaa", "input_ids": null, "messages": null}\n{"input_ids": [1, 2], "labels": null, "text": null}'), [*t.plain("aaa"), ([1, 2], [1, 2])])
    same(t.of("a.json", '{"input_ids": [3, 4, 5], "labels": [-100, 4, -100], "text": "x"}\n{"input_ids": [7], "text": "too short"}'), [([3, 4, 5], [-100, 4, -100])])
    same(t.of("a.jsonl", json.dumps({"text": "x" * 100}) + "\n" + json.dumps({"input_ids": list(range(100))}), "--length", 8), [*t.plain("x" * 8), ([*range(8)], [*range(8)])])
    rows = "".join(json.dumps({"text": f"row {k:03}"}) + "\n" for k in range(200))
    some = t.of("a.jsonl", rows, "--samples", 20, "--seed", 5)
    assert len(some) == 20 and some == sorted(some) and some == t.of("a.jsonl", rows, "--samples", 20, "--seed", 5) != t.of("a.jsonl", rows, "--samples", 20, "--seed", 6)
    _, notes = t.samples(t.folder / "a.json", "--samples", 9)
    same(notes, [f"{t.folder / 'a.json'}: 1 sample with less than two tokens, or none in the first 64 that the loss counts: passed over", f"{t.folder / 'a.json'} has 1 sample of the 9 asked for"])
    for says, content in {
        "is no text in UTF-8": b'{"text": "caf\xe9"}',
        "half of a surrogate pair": b'{"text": "a \\ud800"}',
        "line 1 is no JSON: Expecting value, at character 3; rows are objects, one in each line": '[\n{"text": "aaa"}\n]',
        "line 1 is no JSON that can be read": b"[" * 100_000,
        "is no JSON that can be read: Exceeds the limit (4300 digits) for integer string conversion: value has 5000 digits": '{"text": ' + "9" * 5000 + "}",
        "line 2 is no JSON": '{"text": "good"}\n{"text": "cut',
        "line 1 is no object": "[1, 2]",
        "has none of text, input_ids and messages": '{"words": "a"}',
        "text is a int, and no string": '{"text": 5}',
        "input_ids are no list of tokens from 0 to 255": '{"input_ids": [1, 256]}',
        "labels are no list of tokens from 0 to 255, or -100": '{"input_ids": [1, 2], "labels": [1, -1]}',
        "2 input_ids and 3 labels": '{"input_ids": [1, 2], "labels": [1, 2, 3]}',
        "has no sample": "\n\n",
        "has no sample: 1 row with less than two tokens, or none in the first 64 that the loss counts": '{"text": "a"}',
    }.items():
        t.refused(says, t.of, "a.jsonl", content)
    same(t.of("a.jsonl", json.dumps({"text": "a" * 3_000_000})), t.plain("a" * 64))  # in no time
    with mock.patch.object(measure, "LONGEST", 99):
        t.refused("line 1 has more than 99 characters", t.of, "a.jsonl", json.dumps({"text": "a" * 99}))
    t.config.vocab_size = 90
    t.refused("the tokenizer gives token 127, and the model has 90", t.of, "a.jsonl", '{"text": "a\u00e9"}')


def chats(root):
    """Messages are what the model's template writes, with the loss on answers alone."""
    t = Texts(root)
    talk = [{"role": "user", "content": "1+1?"}, {"role": "assistant", "content": "2"}, {"role": "user", "content": "\u00e9?"}, {"role": "assistant", "content": "\U0001f600"}]
    ids = t.ids("<user>1+1?;<assistant>2;<user>\u00e9?;<assistant>\U0001f600;")
    ((got, labels),) = t.of("c.jsonl", json.dumps({"messages": talk}))
    same(got, ids)
    same(labels, [-100] * 22 + ids[22:24] + [-100] * 21 + ids[45:])
    same([x for x in labels if x != -100], t.ids("2;") + t.ids("\U0001f600;"))
    t.refused("begins with an answer", t.of, "c.jsonl", json.dumps({"messages": talk[1:]}))
    for messages in "user: hello", [], [{"content": "a"}], [{"role": 1, "content": "a"}]:
        t.refused("messages are no list of objects that each have a role, and content", t.of, "c.jsonl", json.dumps({"messages": messages}))
    for says, template in {
        "does not take these messages": "{{ raise_exception('no') }}",
        "writes answer 2 in another way when more follows": "{% for m in messages %}{% if loop.last or m.role != 'assistant' %}{{m.content}}{% endif %};{% endfor %}",  # thoughts that are forgotten
    }.items():
        t.tokenizer.chat_template = template
        t.tokenizer.save_pretrained(t.folder)
        t.refused(says, t.of, "c.jsonl", json.dumps({"messages": talk}))


def plain_text(root):
    """Any other file is text, cut into pieces; ends of lines are those of Unix."""
    t = Texts(root)
    same(t.of("p.txt", b"\xef\xbb\xbfone\r\ntwo\rthree\n"), t.plain("one\ntwo\nthree\n"))
    pieces = t.of("p.md", "".join(chr(97 + k) * 48 for k in range(10)), "--length", 8)
    same(pieces, t.plain(*(chr(97 + k) * 8 for k in range(10))))
    t.refused("is no text in UTF-8", t.of, "p.txt.gz", b"\x1f\x8b\x08\x00")
    t.refused("has no sample", t.of, "p.txt", "")


def parquet(root):
    """Rows of parquet: strings and lists of all widths, nulls, nested columns, several row groups, in bounded memory."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        return ("left out: no pyarrow",)
    t = Texts(root)

    def of(table, *args, **how):
        pq.write_table(pa.table(table), t.folder / "p.parquet", **how)
        return t.samples(t.folder / "p.parquet", *args)[0]

    texts = [f"row {k} \u00e9" for k in range(10)]
    for kind in (pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())):
        same(of({"text": pa.array(texts, pa.string()).cast(kind), "id": list(range(10))}, row_group_size=3), t.plain(*texts))
    for kind in (pa.list_(pa.int32()), pa.large_list(pa.int64()), pa.list_(pa.uint8(), 3)):
        same(of({"input_ids": pa.array([[1, 2, 3], [4, 5, 6]], kind), "labels": pa.array([[-100, 2, 3], None], pa.list_(pa.int64()))}), [([1, 2, 3], [-100, 2, 3]), ([4, 5, 6], [4, 5, 6])])
    same(of({"text": [None, "words"], "input_ids": [[1, 2], None], "words": [1, 2]}), [([1, 2], [1, 2]), *t.plain("words")])
    talk = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b", "name": "B"}]
    same(of({"messages": [talk]}), t.of("c.jsonl", json.dumps({"messages": talk})))  # in which only one has a name
    for says, table in {
        "row 2 has none of text, input_ids and messages": {"text": ["words", None]},
        "has none of the columns text, input_ids and messages: it has prompt, answer": {"prompt": ["a"], "answer": ["b"]},
        "row 1: text is a bytes, and no string": {"text": [b"ab"]},
        "row 1: input_ids are no list of tokens": {"input_ids": [[1.0, 2.0]]},
        "row 1: messages are no list of objects": {"messages": ["a"]},
        "has no sample": {"text": pa.array([], pa.string())},
    }.items():
        t.refused(says, of, table)
    whole = (t.folder / "p.parquet").read_bytes()
    t.refused("cannot be read as parquet", t.of, "p.parquet", whole[:-9])
    t.refused("cannot be read as parquet", t.of, "p.parquet", '{"text": "jsonl"}')

    rows, path = [random.Random(k).randbytes(8 << 10).hex() for k in range(1024)], t.folder / "large.parquet"
    pq.write_table(pa.table({"text": rows, "other": rows}), path, compression="none", use_dictionary=False, write_batch_size=16)
    alone = "import sys, measure; print(sum(len(r['text']) for r in measure.parquet_rows(sys.argv[1]))); import pyarrow; print(pyarrow.default_memory_pool().max_memory())"
    folder = pathlib.Path(measure.__file__).parent
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(folder), *sys.path]), "PYTHONDONTWRITEBYTECODE": "1"}
    read, most = map(int, subprocess.run([sys.executable, "-c", alone, path], env=environment, check=True, capture_output=True, text=True).stdout.split())
    assert read == sum(map(len, rows)) and most < read / 3, f"{most} bytes of memory for a row group of {read}"


CHECKS = [("rows of jsonl", jsonl), ("chats", chats), ("plain text", plain_text), ("rows of parquet", parquet)]
