package format

import "strings"

// NameFault says why a name is no plain file name on some system, or "".
func NameFault(name string) string {
	switch {
	case name == "":
		return "is empty"
	case strings.ContainsAny(name, `/\`):
		return "leads to another directory"
	case strings.Contains(name, ":"):
		return "names a drive or a stream"
	case strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return "holds a control character"
	case name == "." || name == "..":
		return "is a directory"
	case strings.HasSuffix(name, ".") || strings.HasSuffix(name, " "):
		return "ends with a dot or a space, which Windows ignores"
	case device(name):
		return "is a device on Windows"
	}
	return ""
}

// device reports whether Windows takes a name for a device, as it does with any
// extension, after spaces and in either case.
func device(name string) bool {
	base, _, _ := strings.Cut(name, ".")
	base = strings.ToUpper(strings.TrimRight(base, " "))
	switch base {
	case "CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$":
		return true
	}
	port, ok := strings.CutPrefix(base, "COM")
	if !ok {
		port, ok = strings.CutPrefix(base, "LPT")
	}
	return ok && port != "" && strings.Contains("0 1 2 3 4 5 6 7 8 9 ¹ ² ³", port)
}

// Apart takes a model and its adapters apart at the + between them, but for those in paths that are there as they
// are written: of such paths the longest is meant.
func Apart(name string, isThere func(path string) bool) (parts []string) {
	words := strings.Split(name, "+")
	for len(words) > 0 {
		n := len(words)
		for n > 1 && !isThere(strings.Join(words[:n], "+")) {
			n--
		}
		parts = append(parts, strings.Join(words[:n], "+"))
		words = words[n:]
	}
	return parts
}
