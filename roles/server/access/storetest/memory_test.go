package storetest_test

import (
	"testing"

	"aspects-poc/roles/server/access"
	"aspects-poc/roles/server/access/storetest"
)

func TestMemory(t *testing.T) {
	storetest.Run(t, func(*testing.T) access.Store { return &storetest.Memory{} })
}
