package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// peakMemory is the most that was resident, mapped pages included: VmHWM.
func peakMemory() (bytes int64, ok bool) { return peakMemoryOf(os.Getpid()) }

// peakMemoryOf is that of a process that runs.
func peakMemoryOf(pid int) (bytes int64, ok bool) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(status)) {
		fields := strings.Fields(line)
		if len(fields) == 3 && fields[0] == "VmHWM:" {
			kib, err := strconv.ParseInt(fields[1], 10, 64)
			return kib << 10, err == nil
		}
	}
	return 0, false
}
