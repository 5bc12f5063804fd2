package fleet

import (
	"crypto/sha256"
	"fmt"
	"sync"
)

// mostVerdicts bounds what is remembered: some 8 MB.
const mostVerdicts = 1 << 17

// verdicts remembers which reports are in step with the present target, as most devices report what they reported
// before. The zero value is ready for use.
type verdicts struct {
	mu       sync.RWMutex // guards what follows; the tree itself is never changed
	target   Config
	demanded map[string]any // the tree of target; nil before the first poll
	inStep   map[[sha256.Size]byte]bool
}

// of tells whether a report is in step with a target.
func (v *verdicts) of(target, reported Config) (bool, error) {
	report := sha256.Sum256([]byte(reported.text))
	v.mu.RLock()
	demanded, inStep, known := v.demanded, false, false
	if v.target.Equal(target) {
		inStep, known = v.inStep[report]
	} else {
		demanded = nil
	}
	v.mu.RUnlock()
	if known {
		return inStep, nil
	}
	var err error
	if demanded == nil {
		if demanded, err = target.Tree(); err != nil {
			return false, fmt.Errorf("the target is damaged: %w", err)
		}
	}
	tree, err := reported.Tree()
	if err != nil {
		return false, err
	}
	inStep = InStep(demanded, tree)
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.demanded == nil || !v.target.Equal(target) {
		v.target, v.demanded, v.inStep = target, demanded, map[[sha256.Size]byte]bool{}
	}
	if len(v.inStep) >= mostVerdicts {
		for other := range v.inStep { // devices poll in turn, so none is worth more than another
			delete(v.inStep, other)
			break
		}
	}
	v.inStep[report] = inStep
	return inStep, nil
}
