//go:build !amd64 || noasm

package vec

// level is the only one that this build has.
var level = Portable
