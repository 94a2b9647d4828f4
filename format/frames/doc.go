// Package frames knows content that is stored in frames: pieces that are coded each by itself and
// follow one another in a file.
//
// A [Writer] takes content in any order, has each frame coded once it is full, and appends
// the frames in order, of which it holds a bounded window. A [Reader] lends ranges of the content
// and has the frames decoded that they touch.
//
// The package never knows how a frame is coded, what stands between frames, or what the content is.
package frames
