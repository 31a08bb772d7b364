package app

import (
	"github.com/norn-aiops/norn/internal/remediate"
	"github.com/norn-aiops/norn/internal/runner/nft"
)

// packetFilter is the runner of this machine's packet filter.
func packetFilter() (remediate.Runner, error) { return nft.Runner{}, nil }
