package cli

import (
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/megabin/megabin/layers/image"
)

// transports are what an image's name can begin with.
var transports = []string{
	string(image.OCI) + ":\ta directory in OCI layout",
	string(image.OCIArchive) + ":\ta tar file in OCI layout",
	string(image.DockerArchive) + ":\ta tar file as docker save makes it",
	string(image.Dir) + ":\ta directory that is a root file system",
	string(image.Registry) + "://\ta registry",
}

// completeImages completes the first n arguments, which are images.
func completeImages(n int) cobra.CompletionFunc {
	return func(_ *cobra.Command, args []string, text string) ([]string, cobra.ShellCompDirective) {
		if len(args) >= n {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return completeImage(text)
	}
}

// completeImage completes a transport, then the path of a file.
func completeImage(text string) ([]string, cobra.ShellCompDirective) {
	const more = cobra.ShellCompDirectiveNoSpace | cobra.ShellCompDirectiveNoFileComp
	transport, path, found := strings.Cut(text, ":")
	if !found {
		return transports, more
	}
	if strings.HasPrefix(path, "//") {
		return nil, more
	}
	names, err := filepath.Glob(path + "*")
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	for i, name := range names {
		names[i] = transport + ":" + name
	}
	return names, more
}

// oneOf completes a flag that has few values.
func oneOf(values ...string) cobra.CompletionFunc {
	return cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)
}
