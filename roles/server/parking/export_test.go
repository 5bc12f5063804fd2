package parking

// Parks returns whether the lot takes requests.
func (l *Lot) Parks() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.ended
}
