package verb

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"tollgate/pkg/config"
	"tollgate/pkg/destination"
	"tollgate/pkg/doctor"
	"tollgate/pkg/dynamostore"
	"tollgate/pkg/event"
	"tollgate/pkg/failpoint"
	"tollgate/pkg/handlers"
	"tollgate/pkg/ingest"
	"tollgate/pkg/limits"
	"tollgate/pkg/local"
	"tollgate/pkg/policy"
)

// Target is the system that a verb works on. All its parts come from one place: a stack, the
// environment or the local system's own file, never mixed.
type Target struct {
	Name        string // for people
	AWS         aws.Config
	Table       string
	QueueURL    string
	DLQURL      string
	HoldURL     string // of the queue that holds paused events, "" without one or if unknown
	TimeScale   int    // waits are divided by it, 1 on AWS
	MaxReceives int    // 0 for the number of [limits.AWS]

	URL string // where deliveries are posted, "" if unknown

	StripeURL       string // "" for Stripe's own API
	WebhookSecretID string // in Secrets Manager, "" if unknown
	APIKeySecretID  string // the same

	SendDLQURL string // of the dead-letter queue of deliveries, "" without destinations or if unknown

	Local bool

	// Of a local system only:

	Secret          string            // signs deliveries
	EndpointSecrets map[string]string // the same for endpoints other than default
	Endpoints       string            // the policies, as JSON
	Reconciled      string            // the accounts that reconcile lists, as JSON
	Destinations    string            // the receivers of deliveries, as JSON
}

// targetCache keeps the target of a process that needs it many times.
type targetCache struct {
	mu     sync.Mutex
	target Target
	until  time.Time
}

// targetFor is how long a target is kept: a deployment may change a stack's outputs.
const targetFor = 5 * time.Minute

// Caching returns a copy that reads the stack, or the environment's configuration, once in
// five minutes. The local system is looked for each time: it may have been started again.
func (a *App) Caching() *App {
	own := *a
	own.targets = &targetCache{}
	return &own
}

// Target finds the system: the stack of --stack, else the system of the environment, else
// the local one.
func (a *App) Target(ctx context.Context) (Target, error) {
	if a.targets == nil || a.Stack == "" && !a.Env.Named() {
		return a.findTarget(ctx)
	}
	c := a.targets
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Now().Before(c.until) {
		return c.target, nil
	}
	t, err := a.findTarget(ctx)
	if err == nil {
		c.target, c.until = t, time.Now().Add(targetFor)
	}
	return t, err
}

func (a *App) findTarget(ctx context.Context) (Target, error) {
	switch {
	case a.Stack != "":
		return a.stackTarget(ctx)
	case a.Env.Named():
		c, err := a.awsConfig(ctx)
		return Target{
			Name: "table " + a.Env.Table + " in " + c.Region, AWS: c,
			Table: a.Env.Table, QueueURL: a.Env.QueueURL, DLQURL: a.Env.DLQURL, HoldURL: a.Env.HoldURL, TimeScale: 1,
			StripeURL: a.Env.StripeURL, WebhookSecretID: a.Env.WebhookSecretID, APIKeySecretID: a.Env.APIKeySecretID,
		}, err
	default:
		return a.localTarget(ctx)
	}
}

// awsConfig finds Region and credentials as AWS's own tools do.
func (a *App) awsConfig(ctx context.Context) (aws.Config, error) {
	c, err := awsconfig.LoadDefaultConfig(ctx, awsconfig.WithHTTPClient(awshttp.NewBuildableClient().WithTimeout(limits.PatientTry)))
	if err != nil {
		return c, fmt.Errorf("load AWS configuration: %w", err)
	}
	if c.Region == "" {
		return c, Hint(Usage("no AWS Region"), "set AWS_REGION, or AWS_PROFILE to a profile that has a Region")
	}
	return a.reach.watch(c), nil
}

// LocalInfo describes the local system, which must be running.
func (a *App) LocalInfo(ctx context.Context) (local.Info, error) {
	i, err := local.ReadInfo(a.Data)
	if errors.Is(err, local.ErrNotRunning) {
		return i, Hint(Usage("no system to work on: %v", err),
			"start one with tollgate dev, name a stack with --stack, or set TOLLGATE_TABLE, TOLLGATE_QUEUE_URL and TOLLGATE_DLQ_URL")
	}
	if err != nil {
		return i, err
	}
	if err := dial(ctx, i.Endpoint); err != nil {
		return i, Hint(fmt.Errorf("the local system in %s does not answer: %w", a.Data, err),
			"it ended without cleaning up: start tollgate dev again")
	}
	return i, nil
}

// localPause bounds the pause before a retry of a local call. The embedded services may answer
// before the client has seen its request written; the SDK then loses the answer.
const localPause = 20 * time.Millisecond

func (a *App) localTarget(ctx context.Context) (Target, error) {
	i, err := a.LocalInfo(ctx)
	if err != nil {
		return Target{}, err
	}
	c := i.AWSConfig()
	client := &http.Client{Timeout: limits.PatientTry}
	if failpoint.Enabled {
		client.Transport = failpoint.Transport("command", http.DefaultTransport)
	}
	c.HTTPClient = client
	c.Retryer = func() aws.Retryer { return retry.AddWithMaxBackoffDelay(retry.NewStandard(), localPause) }
	return Target{
		Name: "the local system in " + a.Data, AWS: c,
		Table: i.Table, QueueURL: i.QueueURL, DLQURL: i.DLQURL, HoldURL: i.HoldURL,
		TimeScale: i.TimeScale, MaxReceives: i.MaxReceives,
		URL: i.URL, Secret: i.Secret, EndpointSecrets: i.EndpointSecrets, Endpoints: i.Endpoints, Reconciled: i.Reconcile, Local: true,
		SendDLQURL: i.SendDLQURL, Destinations: i.Destinations,
		StripeURL: i.StripeURL, WebhookSecretID: local.WebhookSecretID, APIKeySecretID: local.APIKeySecretID,
	}, nil
}

// dialTimeout is enough for loopback.
const dialTimeout = 2 * time.Second

// dial fails at once when no process listens; an SDK client would retry for long.
func dial(ctx context.Context, endpoint string) error {
	u, err := url.Parse(endpoint)
	if err != nil {
		return err
	}
	d := net.Dialer{Timeout: dialTimeout}
	c, err := d.DialContext(ctx, "tcp", u.Host)
	if err != nil {
		return err
	}
	return c.Close()
}

// Reader returns the target with a reader of its records and items.
func (a *App) Reader(ctx context.Context) (t Target, r *dynamostore.Reader, err error) {
	if t, err = a.Target(ctx); err == nil {
		r, err = t.Reader()
	}
	return t, r, err
}

// Reader reads the target's records and items.
func (t Target) Reader() (*dynamostore.Reader, error) {
	return dynamostore.NewReader(dynamodb.NewFromConfig(t.AWS), t.Table)
}

// Writer makes the writes of operators.
func (t Target) Writer() (*dynamostore.Operator, error) {
	return dynamostore.NewOperator(dynamodb.NewFromConfig(t.AWS), t.Table, dynamostore.Options{})
}

// Items returns how many items the table has, about: on AWS it is counted every six hours.
func (t Target) Items(ctx context.Context) (int64, error) {
	got, err := dynamodb.NewFromConfig(t.AWS).DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: &t.Table})
	if err != nil {
		return 0, Hint(fmt.Errorf("count items of table %s: %w", t.Table, err), "may these credentials call dynamodb:DescribeTable on it?")
	}
	return aws.ToInt64(got.Table.ItemCount), nil
}

// Limits returns the numbers that the target runs with.
func (t Target) Limits() limits.Limits {
	l := limits.Scaled(t.TimeScale)
	if t.MaxReceives > 0 {
		l.MaxReceives = t.MaxReceives
	}
	return l
}

// Prefix is the beginning of the names of the target's functions and alarms: its queue is
// called tollgate-<stage>-events.
func (t Target) Prefix() string {
	return strings.TrimSuffix(path.Base(t.QueueURL), "-events")
}

// stackTarget reads a deployed system's names from the outputs of its stack.
func (a *App) stackTarget(ctx context.Context) (Target, error) {
	c, err := a.awsConfig(ctx)
	if err != nil {
		return Target{}, err
	}
	outputs, err := stackOutputs(ctx, c, a.Stack)
	if err != nil && a.reach.hint() != "" {
		return Target{}, fmt.Errorf("read stack %s: %w", a.Stack, err)
	}
	if err != nil {
		return Target{}, Hint(fmt.Errorf("read stack %s: %w", a.Stack, err),
			"is it deployed in %s with these credentials (AWS_REGION and AWS_PROFILE name others), and may they call cloudformation:DescribeStacks?", c.Region)
	}
	var missing []string
	for _, name := range []string{limits.OutputWebhookURL, limits.OutputQueueURL, limits.OutputDLQURL, limits.OutputTable} {
		if outputs[name] == "" {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		return Target{}, Hint(fmt.Errorf("stack %s has no output %s", a.Stack, strings.Join(missing, ", ")),
			"is it one of Tollgate's? They are called tollgate-<stage>")
	}
	return Target{
		Name: "stack " + a.Stack + " in " + c.Region, AWS: c, TimeScale: 1,
		Table: outputs[limits.OutputTable], QueueURL: outputs[limits.OutputQueueURL], DLQURL: outputs[limits.OutputDLQURL], HoldURL: outputs[limits.OutputHoldURL],
		SendDLQURL: outputs[limits.OutputSendDLQURL], URL: outputs[limits.OutputWebhookURL], WebhookSecretID: outputs[limits.OutputWebhookSecret], APIKeySecretID: outputs[limits.OutputAPIKeySecret],
	}, nil
}

const stackTimeout = 20 * time.Second

func stackOutputs(ctx context.Context, c aws.Config, stack string) (map[string]string, error) {
	ctx, cancel := context.WithTimeout(ctx, stackTimeout)
	defer cancel()
	got, err := cloudformation.NewFromConfig(c).DescribeStacks(ctx, &cloudformation.DescribeStacksInput{StackName: &stack})
	if err != nil {
		return nil, err
	}
	if len(got.Stacks) != 1 {
		return nil, fmt.Errorf("%d stacks have this name", len(got.Stacks))
	}
	outputs := map[string]string{}
	for _, o := range got.Stacks[0].Outputs {
		outputs[aws.ToString(o.OutputKey)] = aws.ToString(o.OutputValue)
	}
	return outputs, nil
}

// Configuration reads a deployed function's, as callers have it: of the alias live if there is
// one. It wraps [doctor.ErrMissing] if there is no such function.
func (t Target) Configuration(ctx context.Context, function string) (*lambda.GetFunctionConfigurationOutput, error) {
	name := t.Prefix() + "-" + function
	client := lambda.NewFromConfig(t.AWS)
	got, err := client.GetFunctionConfiguration(ctx, &lambda.GetFunctionConfigurationInput{FunctionName: &name, Qualifier: aws.String(limits.Alias)})
	if _, absent := errors.AsType[*lambdatypes.ResourceNotFoundException](err); absent {
		got, err = client.GetFunctionConfiguration(ctx, &lambda.GetFunctionConfigurationInput{FunctionName: &name})
	}
	if _, absent := errors.AsType[*lambdatypes.ResourceNotFoundException](err); absent {
		return nil, fmt.Errorf("read function %s: %w: %w", name, doctor.ErrMissing, err)
	}
	if err != nil {
		return nil, fmt.Errorf("read function %s: %w", name, err)
	}
	return got, nil
}

// Variables reads the environment of one of the target's deployed functions.
func (t Target) Variables(ctx context.Context, function string) (map[string]string, error) {
	got, err := t.Configuration(ctx, function)
	if err != nil || got.Environment == nil {
		return nil, err
	}
	if got.Environment.Error != nil {
		return nil, fmt.Errorf("read environment of function %s: %s", function, aws.ToString(got.Environment.Error.Message))
	}
	return got.Environment.Variables, nil
}

// Policies returns those of the target's endpoints, as its consumer has them.
func (t Target) Policies(ctx context.Context) (map[string]policy.Policy, error) {
	if t.Local {
		return config.ParseEndpoints(t.Endpoints)
	}
	variables, err := t.Variables(ctx, "consumer")
	if err != nil {
		return nil, err
	}
	policies, err := config.ParseEndpoints(variables["TOLLGATE_ENDPOINTS"])
	if err != nil {
		return nil, fmt.Errorf("%w: of the consumer: %w", doctor.ErrConfiguration, err)
	}
	return policies, nil
}

// Accounts returns those that the target's reconcile lists, with their endpoints. Without a
// configuration it is the key's own alone.
func (t Target) Accounts(ctx context.Context) (map[string]string, error) {
	listed := t.Reconciled
	if !t.Local {
		variables, err := t.Variables(ctx, "reconcile")
		if err != nil {
			return nil, err
		}
		listed = variables["TOLLGATE_RECONCILE"]
	}
	all, err := config.ParseAccounts(listed)
	if err != nil {
		return nil, fmt.Errorf("%w: of reconcile: %w", doctor.ErrConfiguration, err)
	}
	if all == nil {
		all = map[string]string{"": ingest.DefaultEndpoint}
	}
	return all, nil
}

// Sending returns the target's destinations and their queues, as its sender has them. Without
// destinations it is wrong use.
func (t Target) Sending(ctx context.Context) (config.Sending, error) {
	text, at := t.Destinations, destination.Local
	if t.SendDLQURL == "" {
		return config.Sending{}, Hint(Usage("%s has no destinations, or they are unknown", t.Name),
			"name a stack with destinations by --stack, or start tollgate dev with --destinations or --send-to")
	}
	if !t.Local {
		variables, err := t.Variables(ctx, "sender")
		if err != nil {
			return config.Sending{}, err
		}
		text, at = variables["TOLLGATE_DESTINATIONS"], destination.Deployed
	}
	return config.ParseSending(text, t.SendDLQURL, at)
}

// Excludes returns a function that reports whether the policy of an event's endpoint excludes
// it, by the consumer's rule: only types with a handler are checked. Nil when the policies
// are unknown.
func (t Target) Excludes(ctx context.Context) (func(event.Envelope) bool, error) {
	policies, err := t.Policies(ctx)
	if err != nil {
		return nil, err
	}
	handled := handlers.Types()
	return func(e event.Envelope) bool {
		return slices.Contains(handled, e.Type) && policies[e.Endpoint].Judge(e).Action != policy.Accept
	}, nil
}

// reach records whether the last request to AWS was signed and answered. If not, missing
// credentials or an unreachable host is the cause to fix first.
type reach struct {
	unanswered    atomic.Pointer[string] // the host of the last request that had no answer
	noCredentials atomic.Bool
}

type recordingClient struct {
	aws.HTTPClient
	reach *reach
}

type recordingCredentials struct {
	aws.CredentialsProvider
	reach *reach
}

func (c recordingCredentials) Retrieve(ctx context.Context) (aws.Credentials, error) {
	found, err := c.CredentialsProvider.Retrieve(ctx)
	c.reach.noCredentials.Store(err != nil && ctx.Err() == nil)
	return found, err
}

// watch returns a configuration whose requests are recorded. It is safe for concurrent use,
// also during requests.
func (r *reach) watch(c aws.Config) aws.Config {
	if r == nil {
		return c
	}
	if c.HTTPClient == nil {
		c.HTTPClient = awshttp.NewBuildableClient()
	}
	c.HTTPClient, c.Credentials = recordingClient{c.HTTPClient, r}, recordingCredentials{c.Credentials, r}
	return c
}

// Do makes a request. A canceled request is not recorded.
func (c recordingClient) Do(q *http.Request) (*http.Response, error) {
	res, err := c.HTTPClient.Do(q)
	switch {
	case err == nil:
		c.reach.unanswered.Store(nil)
	case q.Context().Err() == nil:
		host := q.URL.Host
		c.reach.unanswered.Store(&host)
	}
	return res, err
}

// hint returns what to do about missing credentials or a host that does not answer, "" if
// the last request was answered.
func (r *reach) hint() string {
	switch {
	case r == nil:
		return ""
	case r.noCredentials.Load():
		return "no AWS credentials are found: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or sign in again (aws sso login)"
	case r.unanswered.Load() == nil:
		return ""
	}
	return *r.unanswered.Load() + " does not answer: check the network, AWS_REGION and AWS_ENDPOINT_URL"
}
