// Package layers knows where a tensor belongs in a model, by its name: in which layer, of which run of layers, in which
// submodel.
//
// Layers are recognised from names, not from a table of architectures: a layer is what has the same number after the same
// prefix ("model.layers.17."), whatever the prefix is called. So a model that is published tomorrow has layers too. A
// configuration may count fewer layers than are stored; [Settle] finds those behind.
//
// The package knows names and shapes. It never knows recipes, or where a tensor goes.
package layers
