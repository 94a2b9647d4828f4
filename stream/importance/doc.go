// Package importance measures how much each weight of a model matters to its loss, on data.
//
// A program in Python, measure.py, which is part of this package, does the arithmetic with the user's torch and transformers. The package finds a
// Python that has them, hands it a model in the form that transformers loads, follows what it reports, and writes what it measured as a checkpoint:
//
//	[Measure]   model → plain directory, where it is none
//	            → measure.py in a working folder beside the output, which a run that was ended goes on in
//	            → its files, one for each layer, as one checkpoint in the container that the output's name chooses
//
// The working folder is removed when the output is complete.
//
// The package knows processes, and which files a measurement leaves. It never knows what a gradient is, or which architectures there are: that is
// measure.py's.
package importance
