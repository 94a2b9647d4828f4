package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// The scripts in testdata pin down how weld behaves, one idea each. The weld that they
// run is this test's own, or the binary that the environment variable WELD_BINARY
// names. scene_test.go has the commands that set a scene, witness_test.go those that
// look at what weld did.

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"weld": main})
}

func TestScripts(t *testing.T) {
	bin := foreignBinary(t)
	golden, err := filepath.Abs("../../format/torch/testdata") // files of torch's own
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                "testdata",
		RequireUniqueNames: true,
		Setup: func(env *testscript.Env) error {
			if bin != "" {
				env.Setenv("PATH", bin+string(os.PathListSeparator)+env.Getenv("PATH"))
			}
			env.Setenv("GOLDEN", golden)
			env.Setenv("DCP", filepath.Join(golden, "..", "..", "dcp", "testdata"))
			env.Setenv("DEEPSPEED", filepath.Join(golden, "..", "..", "deepspeed", "testdata"))
			env.Setenv("HF_HUB_CACHE", filepath.Join(env.WorkDir, "no-hub"))
			if os.Getenv("GORACE") == "" {
				env.Setenv("GORACE", "atexit_sleep_ms=10") // a second each time, else
			}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"ckpt":      ckpt,
			"gguf":      ggufFile,
			"sparse":    sparse,
			"shards":    shards,
			"torchsave": torchSave,
			"truncate":  truncate,
			"patch":     patch,
			"fails":     fails,
			"untouched": untouched,
			"interrupt": interrupt,
			"json":      validJSON,
			"jsonlines": validJSONLines,
			"samebytes": sameBytes,
		},
	})
}

// foreignBinary is a directory in which WELD_BINARY is called weld; "" if it is not
// set.
func foreignBinary(t *testing.T) string {
	path := os.Getenv("WELD_BINARY")
	if path == "" {
		return ""
	}
	path, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := exec.LookPath(path); err != nil {
		t.Fatalf("WELD_BINARY: %v", err)
	}
	name := "weld"
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	program, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, name), program, 0o777); err != nil {
		t.Fatal(err)
	}
	return dir
}
