package sqs

import "context"

type receiptInput struct{ QueueUrl, ReceiptHandle string }

func (s *Service) deleteMessage(_ context.Context, in receiptInput) (nothing, error) {
	return nothing{}, s.onQueue(in.QueueUrl, func(t *turn, q *queue) error {
		return t.settleByReceipt(q, in.ReceiptHandle)
	})
}

type deleteBatchEntry struct{ Id, ReceiptHandle string }

type deleteBatchInput struct {
	QueueUrl string
	Entries  []deleteBatchEntry
}

func (s *Service) deleteMessageBatch(_ context.Context, in deleteBatchInput) (batchOutput, error) {
	if err := checkBatch(in.Entries, func(e deleteBatchEntry) string { return e.Id }); err != nil {
		return batchOutput{}, err
	}
	out := batchOutput{Successful: []doneEntry{}, Failed: []failedEntry{}}
	err := s.onQueue(in.QueueUrl, func(t *turn, q *queue) error {
		for _, e := range in.Entries {
			out.add(e.Id, t.settleByReceipt(q, e.ReceiptHandle))
		}
		return nil
	})
	return out, err
}

// settleByReceipt deletes a message by the receipt of its latest receive, even after the visibility timeout. An older
// receipt, or one of a deleted message, succeeds and deletes nothing.
func (t *turn) settleByReceipt(q *queue, handle string) error {
	m, r, err := t.byReceipt(q, handle)
	if err != nil {
		return err
	}
	if m != nil && m.Receives == r.Receives {
		t.deleteMessage(q, m)
	}
	return nil
}

// byReceipt reads a handle of this queue; the message is nil if it was deleted.
func (t *turn) byReceipt(q *queue, handle string) (*message, receipt, error) {
	if handle == "" {
		return nil, receipt{}, errMissing("ReceiptHandle")
	}
	r, ok := t.receipts.open(handle)
	if !ok || r.Queue != q.id {
		return nil, receipt{}, errReceiptInvalid()
	}
	return q.messages[r.Seq], r, nil
}

type visibilityInput struct {
	QueueUrl string
	visibilityChange
}

type visibilityChange struct {
	ReceiptHandle     string
	VisibilityTimeout *int
}

func (s *Service) changeMessageVisibility(_ context.Context, in visibilityInput) (nothing, error) {
	return nothing{}, s.onQueue(in.QueueUrl, func(t *turn, q *queue) error {
		return t.changeVisibility(q, in.visibilityChange)
	})
}

// maxVisibility is the longest that one receive may hide a message, in seconds.
const maxVisibility = 43_200

// changeVisibility sets a new timeout, which starts now and ends at most 12 hours after the last receive. As on AWS, a
// receipt whose timeout is over, or of an earlier receive, works too: it hides the message again, or changes the
// timeout of a later receive. Only a deleted message is refused.
func (t *turn) changeVisibility(q *queue, in visibilityChange) error {
	if in.VisibilityTimeout == nil {
		return errMissing("VisibilityTimeout")
	}
	seconds := *in.VisibilityTimeout
	if seconds < 0 || seconds > maxVisibility {
		return errOutOfRange("VisibilityTimeout", seconds, 0, maxVisibility)
	}
	m, _, err := t.byReceipt(q, in.ReceiptHandle)
	if err != nil {
		return err
	}
	if m == nil {
		return errInvalidParameter("Value %s for parameter ReceiptHandle is invalid. Reason: "+
			"Message does not exist or is not available for visibility timeout change.", in.ReceiptHandle)
	}
	if t.now+t.span(seconds) > m.Received+t.span(maxVisibility) {
		return errInvalidParameter("Value %d for parameter VisibilityTimeout is invalid. Reason: "+
			"Total VisibilityTimeout for the message is beyond the limit [%d seconds]", seconds, maxVisibility)
	}
	q.unsettle(m)
	m.VisibleAt = t.now + t.span(seconds)
	q.settle(m, t.now)
	t.saveState(q, m)
	return nil
}
