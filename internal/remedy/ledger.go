package remedy

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"github.com/norn-aiops/norn/internal/ops"
)

// Seal makes e the entry that follows last: number, hash of the one before, own
// hash. The first follows the zero entry.
func Seal(last, e ops.LedgerEntry) (ops.LedgerEntry, error) {
	e.Seq, e.Prev = last.Seq+1, last.Hash
	e.Time = max(e.Time, last.Time) // the order of the ledger is that of its times
	var err error
	e.Hash, err = hashOf(e)
	return e, err
}

func hashOf(e ops.LedgerEntry) (string, error) {
	e.Hash = ""
	raw, err := json.Marshal(e)
	if err != nil {
		return "", fmt.Errorf("cannot hash ledger entry %d: %w", e.Seq, err)
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:]), nil
}

// VerifyLedger checks a whole ledger, oldest first: no entry changed, missing,
// added or out of order. The error names the first entry that does not fit. A
// ledger whose end was cut off is whole in itself: compare its length and last
// hash with ones noted before.
func VerifyLedger(entries []ops.LedgerEntry) error {
	var last ops.LedgerEntry
	for _, e := range entries {
		if e.Seq != last.Seq+1 {
			return fmt.Errorf("entry %d is followed by %d: entries are missing or out of order", last.Seq, e.Seq)
		}
		if e.Prev != last.Hash {
			return fmt.Errorf("entry %d does not follow entry %d: one of them was exchanged", e.Seq, last.Seq)
		}
		h, err := hashOf(e)
		if err != nil {
			return err
		}
		if h != e.Hash {
			return fmt.Errorf("entry %d was changed: its hash is %.12s, it says %.12s", e.Seq, h, e.Hash)
		}
		last = e
	}
	return nil
}
