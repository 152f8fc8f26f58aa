package cli

import (
	"fmt"
	"os"

	"github.com/megabin/megabin/runtime/vkernel/kernel"
)

// policyRules are the words of --policy.
var policyRules = map[string]func(*kernel.Policy){
	"enforce":        func(p *kernel.Policy) { p.Permissive = false },
	"permissive":     func(p *kernel.Policy) { p.Permissive = true },
	"scripts=any":    func(p *kernel.Policy) { p.ListedScripts = false },
	"scripts=listed": func(p *kernel.Policy) { p.ListedScripts = true },
}

// parsePolicy reads --policy; of rules that contradict each other the last
// holds.
func parsePolicy(rules []string) (p kernel.Policy, err error) {
	for _, r := range rules {
		set, ok := policyRules[r]
		if !ok {
			return p, fmt.Errorf("--policy %q: want enforce, permissive, scripts=any or scripts=listed", r)
		}
		set(&p)
	}
	return p, nil
}

// openAudit opens the file of --audit for appending; nil if there is none.
func openAudit(name string) (*os.File, error) {
	switch name {
	case "":
		return nil, nil
	case "-":
		return os.Stdout, nil
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return nil, fmt.Errorf("--audit: %w", err)
	}
	return f, nil
}
