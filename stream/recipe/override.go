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
		for i := range d.Models {
			drop(&d.Models[i].Params)
		}
		for i := range d.Slices {
			drop(&d.Slices[i].Params)
			for j := range d.Slices[i].Sources {
				drop(&d.Slices[i].Sources[j].Params)
			}
		}
		d.Params = append(d.Params, s)
	}
}
