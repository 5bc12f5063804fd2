package lint

import (
	"io"
	"net/url"
	"path/filepath"
	"strings"

	"aspects-poc/internal/jsonvalue"
)

// The parts of SARIF 2.1.0 that findings need, as the standard names them.
type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool       sarifTool     `json:"tool"`
		ColumnKind string        `json:"columnKind"`
		Results    []sarifResult `json:"results"`
	}
	sarifTool struct {
		Driver sarifDriver `json:"driver"`
	}
	sarifDriver struct {
		Name    string      `json:"name"`
		Version string      `json:"version,omitempty"`
		Rules   []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID            string      `json:"id"`
		Short         sarifText   `json:"shortDescription"`
		Help          *sarifText  `json:"help,omitempty"`
		Configuration sarifConfig `json:"defaultConfiguration"`
	}
	sarifConfig struct {
		Level Level `json:"level"`
	}
	sarifText struct {
		Text string `json:"text"`
	}
	sarifResult struct {
		RuleID    string          `json:"ruleId"`
		RuleIndex int             `json:"ruleIndex"`
		Level     Level           `json:"level"`
		Message   sarifText       `json:"message"`
		Locations []sarifLocation `json:"locations"`
	}
	sarifLocation struct {
		Physical sarifPhysical `json:"physicalLocation"`
	}
	sarifPhysical struct {
		Artifact sarifArtifact `json:"artifactLocation"`
		Region   sarifRegion   `json:"region"`
	}
	sarifArtifact struct {
		URI string `json:"uri"`
	}
	sarifRegion struct {
		Line   int `json:"startLine"`
		Column int `json:"startColumn"`
	}
)

func writeSARIF(w io.Writer, findings []Finding, version string) error {
	run := sarifRun{ColumnKind: "unicodeCodePoints", Results: []sarifResult{}, Tool: sarifTool{sarifDriver{
		Name: "aspects-poc registry lint", Version: version, Rules: []sarifRule{}}}}
	index := map[string]int{}
	for i, rule := range rules {
		index[rule.Code] = i
		described := sarifRule{ID: rule.Code, Short: sarifText{rule.Summary}, Configuration: sarifConfig{rule.Level}}
		if rule.Help != "" {
			described.Help = &sarifText{rule.Help}
		}
		run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, described)
	}
	for _, f := range findings {
		run.Results = append(run.Results, sarifResult{RuleID: f.Code, RuleIndex: index[f.Code], Level: f.Level, Message: sarifText{f.Message},
			Locations: []sarifLocation{{sarifPhysical{sarifArtifact{uri(f.File)}, sarifRegion{f.Line, f.Column}}}}})
	}
	return jsonvalue.Write(w, sarifLog{Schema: "https://json.schemastore.org/sarif-2.1.0.json", Version: "2.1.0", Runs: []sarifRun{run}}, "  ")
}

// uri returns a file's name as a URI for SARIF. A relative name stays relative, so that code scanning finds the file in a repository.
func uri(file string) string {
	slashed := filepath.ToSlash(file)
	if filepath.IsAbs(file) {
		return (&url.URL{Scheme: "file", Path: slashed}).String()
	}
	return strings.TrimPrefix((&url.URL{Path: slashed}).String(), "./")
}
