package hub

import "testing"

func TestOfTraining(t *testing.T) {
	for name, want := range map[string]bool{
		"trainer_state.json": true, "training_args.bin": true, "latest": true, "latest_universal": true, "zero_to_fp32.py": true, "zero_to_torch.py": true,
		"optimizer.pt": true, "scheduler.pt": true, "scaler.pt": true, "rng_state.pth": true, "rng_state_0.pth": true, "random_states_3.pkl": true, "custom_checkpoint_0.pkl": true,
		"config.json": false, "generation_config.json": false, "tokenizer.json": false, "chat_template.jinja": false, "README.md": false, "modeling_latest.py": false,
		"scheduler_config.json": false, "scheduler/scheduler.pt": false, "optimizer.py": false, "preprocessor_config.json": false, "latest.json": false,
	} {
		if got := OfTraining(name); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
