package frontend

import (
	"fmt"
	"strconv"
)

// settings are what a build asks for with build arguments.
type settings struct {
	keepNative bool // MEGABIN_KEEP_NATIVE: leave the original ELFs in place
	strict     bool // MEGABIN_POLICY=strict: fail where something can't be converted
	report     bool // MEGABIN_REPORT: attach what was done with each ELF
}

func readSettings(opts map[string]string) (s settings, err error) {
	for name, to := range map[string]*bool{"MEGABIN_KEEP_NATIVE": &s.keepNative, "MEGABIN_REPORT": &s.report} {
		text := opts["build-arg:"+name]
		if text == "" {
			continue
		}
		if *to, err = strconv.ParseBool(text); err != nil {
			return s, fmt.Errorf("build argument %s=%s: want true or false", name, text)
		}
	}
	switch policy := opts["build-arg:MEGABIN_POLICY"]; policy {
	case "", "permissive":
	case "strict":
		s.strict = true
	default:
		return s, fmt.Errorf("build argument MEGABIN_POLICY=%s: want permissive or strict", policy)
	}
	return s, nil
}
