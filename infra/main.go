// Command infra writes and checks the CloudFormation template of one stage of Tollgate. It
// needs no account. The CDK command runs it as set in cdk.json; to run it by hand:
//
//	go run ./infra -o cdk.out -stage live
//
// It reads the stage's options from infra/stages/<stage>.json and the functions' bundles,
// which make build makes, from dist. CDK needs node.
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

// options are the command-line flags.
type options struct{ out, stage, stages, bundles, version string }

func run(args []string, notes io.Writer) error {
	var o options
	flags := flag.NewFlagSet("infra", flag.ContinueOnError)
	flags.SetOutput(notes)
	flags.StringVar(&o.out, "o", "", "folder for the template and its assets; default: where the CDK command wants it")
	flags.StringVar(&o.stage, "stage", "test", "stage to synthesize; its options are in <stages>/<stage>.json:"+keysHelp())
	flags.StringVar(&o.stages, "stages", "infra/stages", "folder with the stage files")
	flags.StringVar(&o.bundles, "bundles", "dist", "folder with <function>/bootstrap")
	flags.StringVar(&o.version, "version", "dev", "release: in the functions' log lines, a tag and an output of the stack")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	return synth(o, notes)
}

func synth(o options, notes io.Writer) error {
	context, err := fileContext("cdk.json")
	if err != nil {
		return err
	}
	stage, err := stack.ReadStage(o.stages, o.stage)
	if err != nil {
		return err
	}
	stage.Version = o.version
	if stage.AlarmEmail == "" && stage.AlarmTopic == "" {
		fmt.Fprintf(notes, "infra: stage %s has alarms without a receiver: set alarm-email or alarm-topic in %s\n", o.stage, filepath.Join(o.stages, o.stage+".json"))
	}
	props := &awscdk.AppProps{Context: &context, AnalyticsReporting: jsii.Bool(false)}
	if o.out != "" {
		props.Outdir = &o.out
	}
	app := awscdk.NewApp(props)
	for _, key := range append(slices.Sorted(maps.Keys(stack.Keys())), "stage") {
		if app.Node().TryGetContext(&key) != nil {
			return fmt.Errorf("the context value %s is not read: set it in %s, and choose the stage with make STAGE=…", key, o.stages)
		}
	}
	if _, err := stack.New(app, stage, o.bundles); err != nil {
		return err
	}
	assembly := app.Synth(nil)
	name := filepath.Join(*assembly.Directory(), stack.Name(o.stage)+".template.json")
	raw, err := os.ReadFile(name)
	if err != nil {
		return fmt.Errorf("read template: %w", err)
	}
	if err := check.Run(raw, stage.Limits); err != nil {
		return fmt.Errorf("check %s:\n%w", name, err)
	}
	return nil
}

// fileContext reads the context of cdk.json as the CDK command does, so that the template
// is the same without that command.
func fileContext(name string) (map[string]any, error) {
	raw, err := os.ReadFile(name)
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

func keysHelp() string {
	var b strings.Builder
	for _, key := range slices.Sorted(maps.Keys(stack.Keys())) {
		fmt.Fprintf(&b, "\n%s: %s", key, stack.Keys()[key])
	}
	return b.String()
}
