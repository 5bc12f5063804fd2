package transcript_test

import (
	"path/filepath"
	"testing"

	"aspects-poc/internal/kit/world/transcript"
)

// TestReplay replays the transcripts that were recorded on snapd. Intended differences are in differences.
func TestReplay(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("..", "testdata", "transcripts", "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	for _, file := range files {
		list, err := transcript.Load(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, recorded := range list {
			t.Run(filepath.Base(file)+"/"+recorded.Name, func(t *testing.T) {
				t.Parallel()
				seen, err := transcript.Replay(t.Context(), recorded)
				if err != nil {
					t.Fatal(err)
				}
				diff := transcript.Diff(recorded, seen)
				reason := differences[filepath.Base(file)+"/"+recorded.Name]
				switch {
				case diff != "" && reason == "":
					t.Error(diff)
				case diff == "" && reason != "":
					t.Errorf("there is no difference any more: %s", reason)
				}
			})
		}
	}
}

// differences are the transcripts in which the imitation differs, with the reason.
var differences = map[string]string{
	"recorded.json/a write by the administrator: who is told": "other values were stored on the machine already",
}
