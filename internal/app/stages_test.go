package app

import (
	"testing"
	"time"

	"github.com/norn-aiops/norn/internal/config"
)

func TestSeasonsGoByTheZoneAndCountryOfTheFile(t *testing.T) {
	c := config.Default()
	if got := stageConfig(c).Detect; got.Seasons != 20_000 || got.Calendar.Zone != time.Local || got.Calendar.Holiday != nil {
		t.Errorf("by default: %d, %+v", got.Seasons, got.Calendar)
	}
	c.Detect.Seasons.Timezone, c.Detect.Seasons.Holidays = "Europe/Berlin", "DE"
	got := stageConfig(c).Detect.Calendar
	if got.Zone.String() != "Europe/Berlin" || got.Holiday(2024, time.October, 3) == "" || got.Holiday(2024, time.October, 2) != "" {
		t.Errorf("%+v", got)
	}
}
