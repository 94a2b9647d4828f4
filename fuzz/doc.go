// Package fuzz holds the fuzz targets and their seeds. Every byte that weld reads
// from a file comes through a parser that has a target here.
//
// testdata/malformed holds small files with one fault each, by format. Its
// expected.txt names the kind of each fault and the tensor that is to blame; the
// tests demand exactly these. The tables in the tests make the files:
//
//	go test ./fuzz -run TestMalformed -update
//
// The package knows the parsers' promises. It never knows how they keep them.
package fuzz
