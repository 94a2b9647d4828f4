package recipe

import "slices"

// Override replaces whatever a draft says of some keys, wherever it says it, by settings that
// hold for all models and layers.
func (d *Draft) Override(settings []Setting) {
	for _, s := range settings {
		drop := func(list *[]Setting) {
			*list = slices.DeleteFunc(*list, func(old Setting) bool { return old.Key == s.Key })
		}
		drop(&d.Params)
		drop(&d.ModuleParams)
		dropInside(d.Models, d.Slices, drop)
		for i := range d.Modules {
			drop(&d.Modules[i].Params)
			dropInside(d.Modules[i].Models, d.Modules[i].Slices, drop)
		}
		d.Params = append(d.Params, s)
	}
}

// dropInside visits the parameters of models, or of slices and their sources.
func dropInside(models []DraftModel, slices []DraftSlice, drop func(*[]Setting)) {
	for i := range models {
		drop(&models[i].Params)
	}
	for i := range slices {
		drop(&slices[i].Params)
		for j := range slices[i].Sources {
			drop(&slices[i].Sources[j].Params)
		}
	}
}
