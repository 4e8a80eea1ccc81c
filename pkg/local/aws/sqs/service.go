package sqs

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"tollgate/pkg/local/aws/awsjson"
)

// Service is an open set of queues. It is safe for concurrent use.
type Service struct {
	engine *engine
	opts   Options
	done   chan struct{} // closed when the engine has ended
	close  func() error
}

// Open reads the queues of the file at path, or creates the file (mode 0600), and starts to serve them. It returns a
// one-line error if the options are wrong, if another process has the file open (after a second), or if it is not a
// database of this package and format.
func Open(path string, o Options) (*Service, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("open queues %s: %w", path, err)
	}
	db, err := openFile(path)
	if err != nil {
		return nil, err
	}
	e := &engine{opts: o, db: db, limit: maxInFlight,
		queues: make(map[string]*queue), deleted: make(map[string]int64),
		calls: make(chan *call), quit: make(chan struct{})}
	if err := db.View(e.load); err != nil {
		return nil, errors.Join(fmt.Errorf("open queues %s: %w", path, err), db.Close())
	}
	s := &Service{engine: e, opts: o, done: make(chan struct{})}
	s.close = sync.OnceValue(func() error {
		close(e.quit)
		<-s.done
		return db.Close()
	})
	go func() {
		e.run()
		close(s.done)
	}()
	return s, nil
}

// Close ends long polls without messages, finishes running operations and closes the file. Later operations fail with
// ServiceUnavailable. Closing again does nothing.
func (s *Service) Close() error { return s.close() }

// Service is the table of operations for [awsjson.Handler].
func (s *Service) Service() awsjson.Service {
	return awsjson.Service{
		Target: "AmazonSQS", Version: "1.0", ErrorNamespace: "com.amazonaws.sqs#", QueryCompatible: true,
		Operations: map[string]awsjson.Operation{
			"CreateQueue":                operation(s.createQueue),
			"DeleteQueue":                operation(s.deleteQueue),
			"GetQueueUrl":                operation(s.getQueueURL),
			"ListQueues":                 operation(s.listQueues),
			"ListDeadLetterSourceQueues": operation(s.listDeadLetterSourceQueues),
			"PurgeQueue":                 operation(s.purgeQueue),
			"GetQueueAttributes":         operation(s.getQueueAttributes),
			"SetQueueAttributes":         operation(s.setQueueAttributes),
			"TagQueue":                   operation(s.tagQueue),
			"UntagQueue":                 operation(s.untagQueue),
			"ListQueueTags":              operation(s.listQueueTags),
			"SendMessage":                operation(s.sendMessage),
			"SendMessageBatch":           operation(s.sendMessageBatch),
			"ReceiveMessage":             operation(s.receiveMessage),
			"DeleteMessage":              operation(s.deleteMessage),
			"DeleteMessageBatch":         operation(s.deleteMessageBatch),
			"ChangeMessageVisibility":    operation(s.changeMessageVisibility),
		},
	}
}

// nothing is an empty answer.
type nothing struct{}

// operation decodes requests for a typed function and rejects unknown members.
func operation[In, Out any](run func(context.Context, In) (Out, error)) awsjson.Operation {
	return func(ctx context.Context, body []byte) (any, error) {
		var in In
		if err := decode(body, &in); err != nil {
			return nil, err
		}
		return run(ctx, in)
	}
}

func decode(body []byte, in any) error {
	unknown, err := awsjson.Decode(body, in)
	if unknown != "" {
		return errUnsupported("The member %s is not supported by this embedded service.", unknown)
	}
	if err != nil {
		return awsjson.Errorf("SerializationException", "the request is not the JSON of this operation: %v", err)
	}
	return nil
}

// do runs an operation inside the engine and returns once its change is on disk.
func (s *Service) do(run func(*turn) error) error {
	c := &call{run: run, reply: make(chan error, 1)}
	if err := s.enter(c); err != nil {
		return err
	}
	return <-c.reply
}

// onQueue is do for an operation on the queue of a URL.
func (s *Service) onQueue(url string, run func(*turn, *queue) error) error {
	return s.do(func(t *turn) error {
		q, err := t.byURL(url)
		if err != nil {
			return err
		}
		return run(t, q)
	})
}

func (s *Service) enter(c *call) error {
	select {
	case s.engine.calls <- c:
		return nil
	case <-s.done:
		return errUnavailable("the queues are closed")
	}
}
