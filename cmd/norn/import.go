package main

import "github.com/spf13/cobra"

// importCommand is the parent of the commands that bring in what was recorded
// before Norn was there. Each kind of history is a command of its own in
// import_*.go.
func importCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "import", Short: "Bring in the past: what was recorded before Norn was there",
		Long: `Brings what other tools have recorded into a running Norn or into a data
directory. Models learn from it as from history: nothing of the past raises an
alarm or opens an incident. What is there already is not added twice, so an
import that was broken off is simply run again.`,
	}
	c.AddCommand(importBlocks(), importRemoteRead(), importCSV(), importLogs())
	return c
}
