// Command infra writes the CloudFormation template of one stage of Tollgate, checks it
// and needs no account. The CDK command runs it by cdk.json; by hand it is
//
//	go run ./infra -o cdk.out -c stage=live -c alarm-email=ops@example.com
//
// It needs the functions' bundles in dist, which make build makes, and node.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"

	"tollgate/infra/check"
	"tollgate/infra/stack"
	"tollgate/pkg/limits"
)

func main() {
	err := run(os.Args[1:], os.Stderr)
	jsii.Close()
	switch {
	case errors.Is(err, flag.ErrHelp):
		os.Exit(2)
	case err != nil:
		fmt.Fprintln(os.Stderr, "infra:", err)
		os.Exit(1)
	}
}

func run(args []string, notes io.Writer) error {
	flags := flag.NewFlagSet("infra", flag.ContinueOnError)
	flags.SetOutput(notes)
	out := flags.String("o", "", "folder for the template and what it needs; default: what the CDK command says")
	bundles := flags.String("bundles", "dist", "folder with <function>/bootstrap")
	given := values{}
	flags.Var(given, "c", "a context value, key=value; may be repeated; keys:"+keysHelp())
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("read arguments: %q is none", flags.Arg(0))
	}
	context, err := fileContext("cdk.json")
	if err != nil {
		return err
	}
	maps.Copy(context, given)
	return synth(*out, *bundles, context, notes)
}

func synth(out, bundles string, context map[string]any, notes io.Writer) error {
	props := &awscdk.AppProps{Context: &context, AnalyticsReporting: jsii.Bool(false)}
	if out != "" {
		props.Outdir = &out
	}
	app := awscdk.NewApp(props)
	get := func(key string) any { return app.Node().TryGetContext(&key) }
	options, err := stack.FromContext(get, bundles)
	if err != nil {
		return err
	}
	if options.AlarmEmail == "" && options.AlarmTopic == "" {
		fmt.Fprintf(notes, "infra: without alarm-email or alarm-topic stage %s pages nobody, and a deploy drops an address given before\n", options.Stage)
	}
	if _, err := stack.New(app, options); err != nil {
		return err
	}
	assembly := app.Synth(nil)
	name := filepath.Join(*assembly.Directory(), stack.Name(options.Stage)+".template.json")
	raw, err := os.ReadFile(name)
	if err != nil {
		return fmt.Errorf("read template: %w", err)
	}
	template, err := check.Parse(raw)
	if err != nil {
		return err
	}
	if err := check.Run(template, limits.AWS()); err != nil {
		return fmt.Errorf("check %s:\n%w", name, err)
	}
	return nil
}

// fileContext reads the context of cdk.json as the CDK command does, so that the
// template is the same without that command.
func fileContext(name string) (map[string]any, error) {
	raw, err := os.ReadFile(name)
	if errors.Is(err, os.ErrNotExist) {
		return map[string]any{}, nil
	}
	var file struct{ Context map[string]any }
	if err == nil {
		err = json.Unmarshal(raw, &file)
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if file.Context == nil {
		file.Context = map[string]any{}
	}
	return file.Context, nil
}

// values are the context values of a command line. A key that nothing reads is refused:
// a misspelt alarm-email would page nobody.
type values map[string]any

func (v values) String() string { return "" }

func (v values) Set(text string) error {
	key, value, ok := strings.Cut(text, "=")
	if !ok {
		return errors.New("a context value is key=value")
	}
	if _, known := stack.Keys()[key]; !known {
		return fmt.Errorf("nothing reads the key %q; keys are %s", key, strings.Join(slices.Sorted(maps.Keys(stack.Keys())), ", "))
	}
	v[key] = value
	return nil
}

func keysHelp() string {
	var b strings.Builder
	for _, key := range slices.Sorted(maps.Keys(stack.Keys())) {
		fmt.Fprintf(&b, "\n%s: %s", key, stack.Keys()[key])
	}
	return b.String()
}
