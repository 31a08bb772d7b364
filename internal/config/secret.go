package config

import (
	"fmt"
	"log/slog"
	"os"
	"strings"
)

// Secret is a text that is never printed: not by fmt, slog, YAML or JSON. In
// the file it is the text itself, "file:PATH" to read it from a file, or
// "env:NAME" to read it from the environment.
type Secret string

const redacted = "<redacted>"

// Reveal returns the text.
func (s Secret) Reveal() string { return string(s) }

// String returns "<redacted>", or "" for the empty secret.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return redacted
}

// GoString hides the text from %#v.
func (s Secret) GoString() string { return s.String() }

// LogValue hides the text from slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalYAML hides the text from YAML.
func (s Secret) MarshalYAML() (any, error) { return s.String(), nil }

// MarshalText hides the text from JSON.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

func (s *Secret) resolve(key string) error {
	if name, ok := strings.CutPrefix(string(*s), "env:"); ok {
		v, set := os.LookupEnv(name)
		if !set {
			return fmt.Errorf("%s: cannot read the secret: the environment has no %s", key, name)
		}
		*s = Secret(v)
		return nil
	}
	path, ok := strings.CutPrefix(string(*s), "file:")
	if !ok {
		return nil
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("%s: cannot read the secret: %w", key, err)
	}
	*s = Secret(strings.TrimRight(string(raw), "\r\n"))
	return nil
}

func (c *Config) resolveSecrets() error {
	if err := c.Server.Token.resolve("server.token"); err != nil {
		return err
	}
	if err := c.Storage.State.resolve("storage.state"); err != nil {
		return err
	}
	for i := range c.Scrape {
		s := &c.Scrape[i]
		key := fmt.Sprintf("scrape_configs[%d]", i)
		if err := s.BasicAuth.Password.resolve(key + ".basic_auth.password"); err != nil {
			return err
		}
		if err := s.BearerToken.resolve(key + ".bearer_token"); err != nil {
			return err
		}
	}
	if err := c.Remedy.resolveSecrets(); err != nil {
		return err
	}
	return c.resolveNotifySecrets()
}
