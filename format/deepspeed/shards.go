package deepspeed

import (
	"weld/format"
	"weld/format/pickle"
	"weld/format/torch"
)

// partitions reads the optimizer's partitions of a checkpoint.
func (r *reading) partitions(ms []*modelStates, f files) (*partitions, error) {
	if len(f.optim) == 0 {
		detail := "its weights in float32 are in the optimizer's partitions (*_optim_states.pt), which are not there"
		if ms[0].module != nil && len(ms) == 1 {
			detail += "; those in the type in which the model was trained are " + ms[0].path + "#module"
		}
		return nil, r.fault(format.KindMissing, "%s", detail)
	}
	names, err := r.ranks(f.optim, "partitions of an optimizer")
	if err != nil {
		return nil, err
	}
	p := &partitions{model: ms[0]}
	for rank, name := range names {
		s, err := r.read(name)
		if err != nil {
			return nil, err
		}
		root, err := s.root()
		if err != nil {
			return nil, err
		}
		x := &shard{saved: s}
		if x.state, err = demand[*pickle.Dict](s, root, "optimizer_state_dict"); err != nil {
			return nil, err
		}
		stage, err := x.stage(len(names))
		if err != nil {
			return nil, err
		}
		if rank == 0 {
			p.stage = stage
		} else if stage != p.stage {
			return nil, s.fault(format.KindIndex, "", "it is of stage %d of ZeRO, and that of rank 0 of stage %d", stage, p.stage)
		}
		if err := x.read(stage); err != nil {
			return nil, err
		}
		if rank > 0 && (x.maps == nil) != (p.shards[0].maps == nil) {
			return nil, s.fault(format.KindKey, "", "one rank has param_slice_mappings, and another has not")
		}
		p.shards = append(p.shards, x)
	}
	if want := len(names); p.stage == 3 && len(ms) != want || p.stage < 3 && len(ms) != 1 {
		return nil, r.fault(format.KindMissing, "%d partitions of stage %d of ZeRO are there, with %d files of model states", want, p.stage, len(ms))
	}
	return p, nil
}

// stage is the stage of ZeRO, of which so many partitions are there.
func (x *shard) stage(ranks int) (int64, error) {
	if v, _ := x.state.Get("ds_zero_partition_groups"); v != nil {
		return 0, x.fault(format.KindUnsupported, "", "experts are divided over some of the ranks (ds_zero_partition_groups), which weld does not put together: load the checkpoint in its training, and save the model's state_dict")
	}
	counts := []int64{int64(ranks)}
	switch v, _ := x.state.Get("partition_count"); v := v.(type) {
	case int64:
		counts[0] = v
	case *pickle.List:
		var err error
		if counts, err = torch.Sizes(v); err != nil {
			return 0, x.fault(format.KindType, "", "partition_count: %v", err)
		}
	case nil:
	default:
		return 0, x.fault(format.KindType, "", "partition_count is %s", pickle.Kind(v))
	}
	for _, n := range counts {
		if n != int64(ranks) {
			return 0, x.fault(format.KindMissing, "", "parameters are divided into %d partitions, and %d are there", n, ranks)
		}
	}
	stage, said, err := get[int64](x.saved, x.state, "zero_stage")
	switch {
	case err != nil:
		return 0, err
	case !said: // the optimizer for bfloat16 divides as stage 1 does, and does not say so
		return 1, nil
	case stage < 1 || stage > 3:
		return 0, x.fault(format.KindUnsupported, "", "stage %d of ZeRO, of which weld does not know how it divides", stage)
	}
	return stage, nil
}

// read finds the partitions of a rank.
func (x *shard) read(stage int64) error {
	key := "single_partition_of_fp32_groups"
	if stage == 3 {
		key = "fp32_flat_groups"
	}
	list, err := demand[*pickle.List](x.saved, x.state, key)
	if err != nil {
		return err
	}
	if x.flats, err = x.rows(key, list); err != nil || stage == 3 {
		return err
	}
	maps, said, err := get[*pickle.List](x.saved, x.state, "param_slice_mappings")
	if err != nil || !said {
		return err
	}
	x.maps = make([]*pickle.Dict, len(maps.Items))
	for i, item := range maps.Items {
		d, ok := item.(*pickle.Dict)
		if !ok {
			return x.fault(format.KindType, "", "%s in param_slice_mappings", pickle.Kind(item))
		}
		x.maps[i] = d
	}
	return nil
}

// find finds the parameters.
func (p *partitions) find() ([]laid, error) {
	if p.stage == 3 {
		return p.each()
	}
	return p.behind()
}

// placed puts a parameter together of the partitions that rows has of each rank, one for each group.
func (p *partitions) placed(x laid, rows func(s *shard) []flat) torch.Placed {
	b := builder{shape: x.shaped, dtype: format.F32}
	for _, part := range x.parts {
		s := p.shards[part.rank]
		b.add(s.source, rows(s)[part.group], part.start, part.size)
	}
	return b.placed()
}
