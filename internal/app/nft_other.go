//go:build !linux

package app

import (
	"errors"

	"github.com/norn-aiops/norn/internal/remediate"
)

// packetFilter is not there.
func packetFilter() (remediate.Runner, error) {
	return nil, errors.New("nftables is there on Linux only")
}
