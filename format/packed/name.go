package packed

import (
	"fmt"
	"io/fs"
	"strings"
	"unicode/utf8"

	"weld/format"
)

// maxName is the most bytes that a file's name may have.
const maxName = 4096

// NameFault says why a pack cannot hold a file of that name, or "".
func NameFault(name string) string { return checkName(name) }

// checkName says why a file of that name must not be unpacked, or "": names lead neither out of
// the directory nor to a device, on any system.
func checkName(name string) (fault string) {
	if len(name) > maxName || !utf8.ValidString(name) || !fs.ValidPath(name) || name == "." {
		return "is no relative path of plain names"
	}
	if strings.Count(name, "/") > maxDepth {
		return fmt.Sprintf("lies inside more than %d folders", maxDepth)
	}
	for part := range strings.SplitSeq(name, "/") {
		if fault := format.NameFault(part); fault != "" {
			return fault
		}
	}
	return ""
}
