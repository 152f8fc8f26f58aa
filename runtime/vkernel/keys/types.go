package keys

import (
	"strings"

	"golang.org/x/sys/unix"
)

// maxPayload is what a key of the types user and logon holds, bytes.
const maxPayload = 32767

// keyType is a type of keys.
type keyType struct {
	name   string
	vet    func(desc string) bool  // nil: any description will do
	check  func(data []byte) error // of a payload
	read   bool                    // KEYCTL_READ works
	update bool                    // there can be another payload
}

// types are those that programs can make keys of, by name.
var types = map[string]*keyType{
	"user":    {name: "user", check: checkPayload, read: true, update: true},
	"logon":   {name: "logon", vet: hasService, check: checkPayload, update: true},
	"keyring": keyring,
}

var keyring = &keyType{name: "keyring", check: checkNone, read: true}

// checkPayload is user_preparse.
func checkPayload(data []byte) error {
	if len(data) == 0 || len(data) > maxPayload {
		return unix.EINVAL
	}
	return nil
}

// checkNone is keyring_preparse.
func checkNone(data []byte) error {
	if len(data) != 0 {
		return unix.EINVAL
	}
	return nil
}

// hasService is logon_vet_description: the description begins with a service
// and a colon.
func hasService(desc string) bool { return strings.IndexByte(desc, ':') > 0 }

// perm is what a new key allows.
func (kt *keyType) perm() uint32 {
	p := uint32(needView|needSearch|needLink|needSetattr)<<possessor | needView<<owner
	if kt.read {
		p |= needRead << possessor
	}
	if kt.update || kt == keyring {
		p |= needWrite << possessor
	}
	return p
}
