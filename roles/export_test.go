package roles

// ExitKinds counts the rows of each kind in the table of exit codes.
func ExitKinds() map[error]int {
	count := map[error]int{}
	for _, row := range exitTable() {
		if row.kind != nil {
			count[row.kind]++
		}
	}
	return count
}
