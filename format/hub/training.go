package hub

import (
	"regexp"
	"strings"
)

// trainingName is that of a file which a trainer leaves beside a model to go on from: states of the Trainer of transformers, of Accelerate and of DeepSpeed.
var trainingName = regexp.MustCompile(`^(?:trainer_state\.json|training_args\.(?:bin|json|yaml)|latest|latest_universal|zero_to_(?:fp32|torch)\.py|(?:optimizer|scheduler|scaler|sampler|rng_state|random_states|custom_checkpoint|dl_state_dict)(?:[_-]?\w*)?\.(?:pt|pth|bin|pkl|safetensors))$`)

// OfTraining reports whether a file beside weights is a training's, and nothing of a model: the name is relative to the model's directory.
func OfTraining(name string) bool {
	return !strings.Contains(name, "/") && trainingName.MatchString(name)
}
