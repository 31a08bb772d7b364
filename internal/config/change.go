package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// ErrChange is returned (wrapped) for a change that cannot be tried.
var ErrChange = errors.New("cannot use the change")

// Change reads a YAML fragment of the configuration over present and returns
// what the settings would be. Only keys below detection can be changed: they
// are what can be tried on stored history. A list replaces the present one.
// Every fault is named with its line.
func Change(present Config, fragment []byte) (Config, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(fragment, &doc); err != nil {
		if !strings.Contains(err.Error(), "line ") { // the parser counts from 0 and does not say the first
			err = fmt.Errorf("line 1: %w", err)
		}
		return Config{}, fmt.Errorf("%w: %w", ErrChange, err)
	}
	if len(doc.Content) == 0 || doc.Content[0].Kind != yaml.MappingNode {
		return Config{}, fmt.Errorf("%w: line 1: a change is a part of the configuration, as detection: {false_alarms_per_series_week: 0.01}", ErrChange)
	}
	top := doc.Content[0]
	for i := 0; i+1 < len(top.Content); i += 2 {
		if k := top.Content[i]; k.Value != "detection" {
			return Config{}, fmt.Errorf("%w: line %d: %s: only what is below detection can be tried on history", ErrChange, k.Line, k.Value)
		}
	}
	dec := yaml.NewDecoder(bytes.NewReader(fragment))
	dec.KnownFields(true)
	c := present
	if err := dec.Decode(&c); err != nil {
		return Config{}, fmt.Errorf("%w: %w", ErrChange, err)
	}
	if err := dec.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return Config{}, fmt.Errorf("%w: it holds a second document", ErrChange)
	}
	if err := c.Validate(); err != nil {
		var errs []error
		for text := range strings.SplitSeq(err.Error(), "\n") {
			key, _, _ := strings.Cut(text, ": ")
			errs = append(errs, fmt.Errorf("line %d: %s", lineOf(top, key), text))
		}
		return Config{}, fmt.Errorf("%w: %w", ErrChange, errors.Join(errs...))
	}
	return c, nil
}

// steps are the parts of a key as Validate writes it: detection.rules[2]
// (name).match.
var steps = regexp.MustCompile(`[A-Za-z_]+|\[\d+\]|\([^)]*\)`)

// lineOf finds the line of a key; where it is not written, that of what is
// around it.
func lineOf(n *yaml.Node, key string) int {
	line := n.Line
	for _, step := range steps.FindAllString(key, -1) {
		switch step[0] {
		case '(':
			continue
		case '[':
			i, err := strconv.Atoi(step[1 : len(step)-1])
			if err != nil || n.Kind != yaml.SequenceNode || i >= len(n.Content) {
				return line
			}
			n = n.Content[i]
			line = n.Line
		default:
			next := childOf(n, step)
			if next == nil {
				return line
			}
			n = next[1]
			line = next[0].Line
		}
	}
	return line
}

// childOf gives key and value of a mapping, nil when it has none of this name.
func childOf(n *yaml.Node, name string) []*yaml.Node {
	if n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == name {
			return n.Content[i : i+2]
		}
	}
	return nil
}
