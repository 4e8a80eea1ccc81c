package local

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	smtypes "github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"tollgate/pkg/destination"
	"tollgate/pkg/history"
	"tollgate/pkg/limits"
	"tollgate/pkg/local/aws/awsjson"
	"tollgate/pkg/local/eventsource"
	"tollgate/pkg/local/gateway"
	"tollgate/pkg/local/lambdahost"
	"tollgate/pkg/stdwebhooks"
)

const (
	sendQueuePrefix = "tollgate-send-" // of a group's queue
	sendDeadQueue   = sendQueuePrefix + "dead"

	// MailFolder is the folder in the data folder to which mails are written.
	MailFolder = "mail"
)

// destinations parses them. There is no local bus and no local topic.
func (o Options) destinations() (destination.Set, error) {
	all, err := destination.Parse(o.Destinations, destination.Local)
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if t := all[name].Type; t == destination.EventBridge || t == destination.SNS {
			errs = append(errs, fmt.Errorf("destination %q has type %s, which the local system does not have", name, t))
		}
	}
	return all, errors.Join(errs...)
}

// senders is the number of sender processes at once: those of all groups.
func (o Options) senders() (sum int) {
	all, _ := o.destinations() // validate has reported its error
	for _, d := range all.Groups() {
		processes, _ := o.limits().Sender.Mapping(d.Concurrency)
		sum += processes
	}
	return sum
}

// sending creates the queues of deliveries and the destinations' secrets, and writes them into i.
// Secrets of earlier runs are kept.
func (r resources) sending(ctx context.Context, o Options, i *Info) (err error) {
	all, err := o.destinations()
	if err != nil || len(all) == 0 {
		return err
	}
	i.Destinations, i.DestinationSecrets = o.Destinations, map[string]string{}
	if i.SendDLQURL, err = r.sendQueues(ctx, all, o.limits()); err != nil {
		return err
	}
	for name, d := range all {
		if d.Type != destination.HTTP {
			continue
		}
		if i.DestinationSecrets[name], err = r.keptSecret(ctx, d.Secret); err != nil {
			return fmt.Errorf("destination %s: %w", name, err)
		}
	}
	return nil
}

func (r resources) sendQueues(ctx context.Context, all destination.Set, l limits.Limits) (deadURL string, err error) {
	q := l.SendQueue()
	seconds := func(d time.Duration) string {
		return strconv.Itoa(int(d * time.Duration(l.TimeScale) / time.Second))
	}
	deadURL, err = r.queue(ctx, sendDeadQueue, map[string]string{"MessageRetentionPeriod": seconds(q.DLQRetention)})
	if err != nil {
		return "", err
	}
	redrive, err := json.Marshal(map[string]string{
		"deadLetterTargetArn": awsjson.ARN("sqs", sendDeadQueue), "maxReceiveCount": strconv.Itoa(q.MaxReceives),
	})
	if err != nil {
		return "", fmt.Errorf("write redrive policy: %w", err)
	}
	for group := range all.Groups() {
		if _, err := r.queue(ctx, sendQueuePrefix+group, map[string]string{
			"MessageRetentionPeriod": seconds(q.Retention), "VisibilityTimeout": seconds(q.Visibility), "RedrivePolicy": string(redrive),
		}); err != nil {
			return "", err
		}
	}
	return deadURL, nil
}

// keptSecret returns a stored secret, or a new one that it stores.
func (r resources) keptSecret(ctx context.Context, name string) (string, error) {
	got, err := r.secrets.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &name})
	if err == nil {
		return aws.ToString(got.SecretString), nil
	}
	if _, missing := errors.AsType[*smtypes.ResourceNotFoundException](err); !missing {
		return "", fmt.Errorf("read secret %s: %w", name, err)
	}
	fresh := stdwebhooks.NewSecret()
	return fresh, r.putSecret(ctx, name, fresh)
}

// hostSender makes the sender, whose environment is made of the consumer's; nil without destinations.
func hostSender(host hostFunction, env map[string]string, o Options) (*lambdahost.Function, error) {
	processes := o.senders()
	if processes == 0 {
		return nil, nil
	}
	mails, err := filepath.Abs(filepath.Join(o.Data, MailFolder))
	if err != nil {
		return nil, fmt.Errorf("find mail folder: %w", err)
	}
	env["TOLLGATE_MAIL_DIR"], env["TOLLGATE_CONCURRENCY"] = mails, strconv.Itoa(processes)
	return host("sender", o.limits().Sender.Timeout, processes, env)
}

// hostHistory makes the function that receivers ask; nil if no destination has a history.
func hostHistory(host hostFunction, env map[string]string, o Options) (*lambdahost.Function, error) {
	if all, _ := o.destinations(); !all.HasHistory() { // validate has reported the error
		return nil, nil
	}
	return host("history", limits.HistoryTimeout, historyProcesses, env)
}

// historyProcesses is how many answer receivers at once.
const historyProcesses = 2

// historyFront serves the receivers' path in front of the API's others.
func historyFront(front http.Handler, f *lambdahost.Function) (http.Handler, error) {
	if f == nil {
		return front, nil
	}
	g, err := gateway.New(gateway.Options{
		Routes: []string{history.Path, history.Path + "/{id}/retry"},
		Invoker: func(ctx context.Context, payload []byte) ([]byte, error) {
			answer, err := f.InvokeWait(ctx, payload, freeProcessWait)
			if errors.Is(err, lambdahost.ErrThrottled) {
				return nil, fmt.Errorf("%w: %w", gateway.ErrUnavailable, err)
			}
			return answer, err
		},
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == history.Path || strings.HasPrefix(r.URL.Path, history.Path+"/") {
			g.ServeHTTP(w, r)
			return
		}
		front.ServeHTTP(w, r)
	}), err
}

// startSenders runs the event source of each group's queue. queue returns the one of a name.
func startSenders(f functions, queue func(name string) eventsource.Queue, o Options) (all []*background, err error) {
	destinations, err := o.destinations()
	if err != nil {
		return nil, err
	}
	l := o.limits()
	for group, d := range destinations.Groups() {
		processes, batch := l.Sender.Mapping(d.Concurrency)
		source, err := eventsource.New(eventsource.Options{
			Queue: queue(sendQueuePrefix + group), QueueARN: awsjson.ARN("sqs", sendQueuePrefix+group),
			Invoker: queueInvoker("sender", f.sender), BatchSize: batch, MaxConcurrency: processes,
			VisibilityTimeout: l.SendQueue().Visibility, DrainTimeout: l.Sender.Timeout + time.Second,
		})
		if err != nil {
			return all, err
		}
		all = append(all, inBackground(source.Run))
	}
	return all, nil
}

// stopAll stops all at once.
func stopAll(ctx context.Context, all []*background) []error {
	for _, b := range all {
		b.cancel()
	}
	errs := make([]error, len(all))
	for i, b := range all {
		errs[i] = b.stop(ctx)
	}
	return errs
}
