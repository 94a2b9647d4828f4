package packed

import (
	"io/fs"
	"strings"
	"unicode/utf8"

	"weld/format"
)

// maxName is the most bytes that a file's name may have.
const maxName = 4096

// checkName says why a file of that name must not be unpacked, or "": names lead neither out of
// the directory nor to a device, on any system.
func checkName(name string) (fault string) {
	if len(name) > maxName || !utf8.ValidString(name) || !fs.ValidPath(name) || name == "." {
		return "is no relative path of plain names"
	}
	for part := range strings.SplitSeq(name, "/") {
		if fault := format.NameFault(part); fault != "" {
			return fault
		}
	}
	return ""
}
