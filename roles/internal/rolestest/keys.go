package rolestest

import (
	"crypto/rand"
	"crypto/rsa"
	"sync"
)

// Keys returns three keys for devices, the same in each call of a process, since making keys takes time.
var Keys = sync.OnceValue(func() (keys [3]*rsa.PrivateKey) {
	for i := range keys {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			panic(err)
		}
		keys[i] = key
	}
	return keys
})
