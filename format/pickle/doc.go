// Package pickle reads what Python's pickle module wrote, and runs nothing.
//
// A pickle is a program for a machine with a stack. Its values are plain data, but two of its instructions call what a
// global name stands for, which may be anything that Python can import. Here a name stands for what the caller's
// [Vocabulary] says, which is Go; any other name is refused, and named.
//
// Protocols 2 to 5 are read, which Python has written since 2003. Source of the instructions: Lib/pickletools.py of CPython 3.13.
//
// The package knows instructions and values. It never knows what a tensor is.
package pickle
