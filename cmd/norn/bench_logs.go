package main

import (
	"github.com/spf13/cobra"

	"github.com/norn-aiops/norn/internal/bench/redact"
)

func benchRedact(output *string) *cobra.Command {
	var data string
	c := &cobra.Command{
		Use: "redact", Short: "Count the secrets that are hidden, and the ordinary lines that are changed", Args: cobra.NoArgs,
		Long: `Masks a built-in corpus of made-up secrets (keys of clouds and vendors, JSON web
tokens, passwords in URLs, JSON, connection strings and arguments, private keys,
card numbers...) and, with --data, every line of the *.log files below DIR, which
should stay as they are.

JSON: secrets, hidden, kinds{}, missed[], lines, changed_lines, changed_share,
changed_by_kind{}, examples[].`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := redact.Run(cmd.Context(), data)
			if err != nil {
				return err
			}
			return show(cmd, *output, r)
		},
	}
	c.Flags().StringVar(&data, "data", "", "folder of ordinary logs")
	return c
}
