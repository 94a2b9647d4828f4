// Package renamed shows a checkpoint under the names of another, as [weld/format/names.Meet] found them: tensors with other
// names, tensors that are put together from others, and parts of tensors.
//
// A range of what is put together from pieces is gathered into a buffer, piece by piece; where it lies in one piece, it is lent from
// there without a copy. A matrix that is stored the other way round is turned in blocks, so that no more than
// [turnBytes] of it are held at once.
//
// The package knows where the elements of a tensor lie. It never knows why a tensor has another name.
package renamed
