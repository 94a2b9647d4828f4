#!/usr/bin/env bash
# Guess:  ParquetFile.iter_batches(batch_size=16) holds about as much as sixteen rows; else buffer_size (reads of column chunks are buffered if it is positive) or
#         pre_buffer=False (for minimal memory, the documentation says) sees to it.
# True:   All of a row group's chunk of each column that is asked for is in memory before the first batch, and a row group has a million rows by default. Neither
#         option alone changes that: with pre_buffer, the default, chunks are read whole whatever buffer_size is, and without buffer_size a chunk is one read.
#         Only both together read piece by piece.
# With:   pyarrow 26.0.1.
# Seen:   a column of 17 MB in one row group, batches of 16 rows: peak of the pool 18 MB as it is, 18 with pre_buffer=False, 18 with buffer_size, 3 with both.
# Matters: training texts come as parquet with row groups of gigabytes, and "in batches" is how they are read where memory is short. weld importance sets both.
set -euo pipefail
. "$(dirname "$0")/venv" pyarrow==26.0.1
cd "$work"
"$python" - <<'PY'
import random

import pyarrow as pa
import pyarrow.parquet as pq

rows = [random.Random(k).randbytes(8 << 10).hex() for k in range(1024)]
pq.write_table(pa.table({"text": rows}), "texts.parquet", compression="none", use_dictionary=False, write_batch_size=16)
PY
peak() { # OPTIONS: most bytes of the pool, in a process of its own
	"$python" - <<PY
import pyarrow as pa
import pyarrow.parquet as pq

with pq.ParquetFile("texts.parquet", $1) as f:
    groups, read = f.num_row_groups, sum(b.nbytes for b in f.iter_batches(batch_size=16))
assert groups == 1 and read > 16 << 20, (groups, read)
print(pa.default_memory_pool().max_memory())
PY
}
plain=$(peak "") unbuffered=$(peak "pre_buffer=False") buffered=$(peak "buffer_size=1 << 20") both=$(peak "pre_buffer=False, buffer_size=1 << 20")
echo "as it is $plain, pre_buffer=False $unbuffered, buffer_size $buffered, both $both"
((plain > 16 << 20 && unbuffered > 16 << 20 && buffered > 16 << 20 && both < 8 << 20))
