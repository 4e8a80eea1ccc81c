package dev

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"tollgate/pkg/cmd/tollgate/verb"
)

// Env prints the environment variables that AWS tools need for the local system.
type Env struct{}

// Help returns the text that --help prints with the flags.
func (Env) Help() string {
	return `The embedded AWS services accept only the access key of their data folder, so that other users of this machine cannot read the secrets. env prints the key and the address as export lines for a shell.

  eval "$(tollgate env)"
  aws dynamodb scan --table-name tollgate`
}

// Run prints one export line for each variable, or one JSON object of them.
func (Env) Run(ctx context.Context, a *verb.App) error {
	if a.Stack != "" {
		return verb.Usage("env is for a local system: leave --stack out")
	}
	i, err := a.LocalInfo(ctx)
	if err != nil {
		return err
	}
	env := i.AWSEnv()
	if a.JSON {
		a.Object(env)
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(env)) {
		fmt.Fprintf(a.Out, "export %s='%s'\n", name, env[name])
	}
	return nil
}
