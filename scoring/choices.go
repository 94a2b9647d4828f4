package scoring

// Choices are the names of all values, in order, as recipes write them.

func (Score) Choices() []string         { return scoreNames }
func (Statistic) Choices() []string     { return statisticNames }
func (Normalization) Choices() []string { return normalizationNames }
func (Scope) Choices() []string         { return scopeNames }
func (Granularity) Choices() []string   { return granularityNames }
