package cli

import "fmt"

// size writes a number of bytes for people.
func size(bytes int64) string {
	switch b := float64(bytes); {
	case b < 1e3:
		return fmt.Sprintf("%d B", bytes)
	case b < 1e6:
		return fmt.Sprintf("%.1f kB", b/1e3)
	case b < 1e9:
		return fmt.Sprintf("%.1f MB", b/1e6)
	default:
		return fmt.Sprintf("%.2f GB", b/1e9)
	}
}

// percent writes part of whole for people; nothing of nothing is all of it.
func percent(part, whole uint64) string {
	if whole == 0 {
		return "100 %"
	}
	return fmt.Sprintf("%.2f %%", 100*float64(part)/float64(whole))
}
