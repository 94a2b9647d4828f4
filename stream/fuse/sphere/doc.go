// Package sphere merges vectors with coefficients from their inner products: whatever moves along circles and spheres
// through its points.
//
// A method fills in a [Blend]: which vectors of a tensor are points, and which coefficients follow from their [Gram]
// matrix. The package measures what tiles do not hold whole, and adds the vectors up. Its angles ([Sine], [ArcCosine])
// have the same bits on every machine.
//
// It never knows a method, files or goroutines.
package sphere
