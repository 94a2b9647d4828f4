package torch

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"weld/format"
	"weld/format/pickle"
)

// magic is how files of torch before 1.6 begin: a pickle of the number 0x1950a86a20f9469cfc6c. Source: torch/serialization.py.
var magic = []byte("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.")

// resave is the command that writes a file anew, as torch does since 1.6.
const resave = `python -c "import sys, torch; [torch.save(torch.load(f, map_location='cpu', weights_only=%s), f.rsplit('.', 1)[0] + '.new.pt') for f in sys.argv[1:]]"`

// recognise refuses what is no zip file, and says what it is.
func recognise(path string, r io.ReaderAt, begin, size int64) error {
	head := make([]byte, min(size, format.ForeignHead))
	if n, err := r.ReadAt(head, begin); n < len(head) && err != nil {
		return fmt.Errorf("read the beginning of %s: %w", path, err)
	}
	fault := func(kind format.Kind, text string, args ...any) error {
		return &format.Error{Path: path, Kind: kind, Detail: fmt.Sprintf(text, args...)}
	}
	switch {
	case bytes.HasPrefix(head, []byte(headMark)):
		return nil
	case len(head) == 0:
		return fault(format.KindTruncated, "the file is empty: download or copy it again")
	case bytes.HasPrefix(head, magic):
		return fault(format.KindUnsupported, "a file as torch before 1.6 writes it, which cannot be read in place; to write it anew, run: "+resave+" %s", "True", format.Quoted(path))
	case len(head) > 262 && string(head[257:262]) == "ustar":
		return fault(format.KindUnsupported, "a tar archive, as the first versions of torch write it; to write it anew, run, if you trust it: "+resave+" %s", "False", format.Quoted(path))
	case len(head) > 1 && head[0] == 0x80 && head[1] >= 2 && head[1] <= 5:
		return fault(format.KindForeign, "a bare pickle of Python, which torch.save did not write")
	case bytes.HasPrefix(head, []byte("PK")):
		return fault(format.KindTruncated, "the beginning of a zip file is not that of one which torch.save wrote")
	}
	if what := format.Foreign(head, size); what != "" {
		return fault(format.KindForeign, "%s", what)
	}
	return fault(format.KindUnsupported, "no file that torch.save wrote: it does not begin as a zip file does")
}

// hint says what else a name tells of a file.
func hint(g pickle.Global) string {
	switch {
	case g.Module == "__main__" || strings.HasPrefix(g.Module, "torch.nn.modules") || strings.Contains(g.Module, ".models.") || strings.HasPrefix(g.Module, "models."):
		return " (a whole module was saved, it seems, and not its state_dict)"
	case g.Module == "torch.storage" && g.Name == "_load_from_bytes":
		return " (a pickle within the pickle: pickle.dump was called instead of torch.save)"
	case strings.HasPrefix(g.Module, "torch.distributed.tensor"), strings.HasPrefix(g.Module, "torch.distributed._"), g.Module == "torch.distributed.device_mesh":
		return " (the part that one process has of a tensor; to have whole ones, save a full state dict in the training, or save with torch.distributed.checkpoint)"
	}
	return ""
}
