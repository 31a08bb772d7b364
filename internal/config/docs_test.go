package config

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// Every YAML example of the reference pages is a configuration.
func TestExamplesInTheReferenceAreConfigurations(t *testing.T) {
	for _, page := range []string{"detection.md", "plugins.md", "logs.md", "slo.md", "capacity.md", "remediation.md", "notifications.md"} {
		raw, err := os.ReadFile("../../docs/" + page)
		if err != nil {
			t.Fatal(err)
		}
		blocks := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(string(raw), -1)
		if len(blocks) == 0 {
			t.Errorf("%s has no example", page)
		}
		for _, b := range blocks {
			if _, err := Parse([]byte(b[1])); err != nil {
				t.Errorf("%s: %v\n%s", page, err, b[1])
			}
		}
		if strings.Count(string(raw), "```")%2 != 0 {
			t.Errorf("%s has an open block", page)
		}
	}
}
