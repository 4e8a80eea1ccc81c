package history

import (
	"context"
	"fmt"
	"net/http"

	"tollgate/pkg/delivery"
	"tollgate/pkg/destination"
)

// Again is the answer of POST /deliveries/ID/retry.
type Again struct {
	ID     string `json:"id"`
	Status string `json:"status"` // retrying
}

// retry lets a delivery be attempted at once. A job that is still queued then finds it done.
func (h *Handler) retry(ctx context.Context, d destination.Destination, id string) (Again, error) {
	j, err := jobOf(id, d)
	if err != nil {
		return Again{}, err
	}
	if !takes(d, j.Message) {
		return Again{}, refuse(http.StatusNotFound, "no such delivery", "this destination no longer takes messages of its mode or account")
	}
	state, err := h.cfg.Messages.State(ctx, d.Name)
	switch {
	case err != nil:
		return Again{}, err
	case !state.Off.IsZero():
		return Again{}, refuse(http.StatusConflict, "the destination is disabled", "ask its operator: tollgate destination enable "+d.Name)
	}
	status, err := h.cfg.Rows.Reopen(ctx, j, h.cfg.Now())
	switch {
	case err != nil:
		return Again{}, fmt.Errorf("reopen delivery: %w", err)
	case status == "":
		return Again{}, refuse(http.StatusNotFound, "no such delivery", "id is that of a delivery in GET "+Path)
	case status == delivery.Delivered:
		return Again{}, refuse(http.StatusConflict, "it was delivered", "its body is in GET "+Path)
	case status == delivery.Running:
		return Again{}, refuse(http.StatusConflict, "an attempt runs", "look at it again in a minute")
	}
	if err := h.cfg.Jobs.SendJobs(ctx, d.Group, []string{j.Encode()}); err != nil {
		return Again{}, fmt.Errorf("enqueue job: %w", err)
	}
	return Again{ID: id, Status: "retrying"}, nil
}
