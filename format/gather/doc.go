// Package gather reads tensors whose elements do not lie in one row in one file: views with strides, and tensors that several
// files hold boxes of.
//
// A [Layout] says where the elements are. [Layout.Read] copies a range of them, in the order of the tensor, into memory of
// the caller's. Files are read in the order of their bytes, a window of at most [Window] bytes at a time.
//
// The package knows shapes, strides and ranges of bytes. It never knows what a container is, nor what an element means.
package gather
