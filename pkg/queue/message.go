package queue

import "time"

// Message is one receive of a queue message.
type Message struct {
	ID       string // the queue's own id; a redriven message has a new one
	Receipt  string // proof of this receive
	Body     string
	Group    string // message group id, "" for none
	Trace    string // trace header that it was sent with, "" for none
	Receives int    // how often the message was received, this receive included; at least 1
	SentAt   time.Time

	// FirstReceivedAt is when the message was received for the first time, and SentAt when
	// it was sent, both by the queue's clock; zero when the queue does not report them.
	FirstReceivedAt time.Time
}

// Received is one receive of a message, with the attributes that its sender set.
type Received struct {
	Message
	Attributes    map[string]string
	FirstReceived time.Time // zero when the queue does not report it
}
