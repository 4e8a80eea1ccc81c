package stripeapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"tollgate/pkg/event"
	"tollgate/pkg/reconcile"
)

// pageSizes are tried in turn while a page is larger than this client reads: from the
// most that Stripe gives down to one event.
func pageSizes() []string { return []string{"100", "10", "1"} }

// ListEvents returns one page of GET /v1/events. Items are read one by one, so that one
// that cannot be read does not take the others with it; if it has an id it is fetched by
// that. The next page begins behind the last that has an id: what has none at the end of
// a page that is not the last is left to the next, which begins with it. Errors are those
// of this package. Safe for concurrent use.
func (c *Client) ListEvents(ctx context.Context, q reconcile.Query) (reconcile.Page, error) {
	page, err := c.listEvents(ctx, q)
	if err != nil {
		return page, fmt.Errorf("list events: %w", err)
	}
	return page, nil
}

func (c *Client) listEvents(ctx context.Context, q reconcile.Query) (reconcile.Page, error) {
	if q.Account != "" && !isName(q.Account, "/") {
		return reconcile.Page{}, fmt.Errorf("%w: %.80q is not an account", ErrNotFound, q.Account)
	}
	live, err := c.Livemode(ctx)
	if err != nil {
		return reconcile.Page{}, err
	}
	body, err := c.listBody(ctx, q)
	if err != nil {
		return reconcile.Page{}, err
	}
	var list struct {
		Data []json.RawMessage `json:"data"`
		More bool              `json:"has_more"`
	}
	if err := json.Unmarshal(body, &list); err != nil {
		return reconcile.Page{}, errors.New("answer is not a list")
	}
	page := reconcile.Page{More: list.More, Items: make([]reconcile.Item, 0, len(list.Data))}
	for i, raw := range list.Data {
		item := listed(raw, i, live)
		if item.Err != nil && item.Event.ID != "" {
			c.mend(ctx, q.Account, &item)
		}
		page.Items = append(page.Items, item)
	}
	leaveTail(&page)
	return page, nil
}

// leaveTail sets where the next page begins and leaves to it what it begins with.
func leaveTail(page *reconcile.Page) {
	last := len(page.Items)
	for last > 0 && page.Items[last-1].Event.ID == "" {
		last--
	}
	if last == 0 {
		return // no id at all: the caller cannot page on, and reports what there is
	}
	page.Last = page.Items[last-1].Event.ID
	if page.More {
		page.Items = page.Items[:last]
	}
}

func (c *Client) listBody(ctx context.Context, q reconcile.Query) (body []byte, err error) {
	for _, size := range pageSizes() {
		body, err = c.get(ctx, request{
			path: "/v1/events?" + listQuery(q, size).Encode(), version: APIVersion,
			accountHeader: "Stripe-Account", account: q.Account, resource: "events",
		})
		if _, tooLarge := errors.AsType[*TooLargeError](err); !tooLarge {
			break
		}
	}
	return body, err
}

func listQuery(q reconcile.Query, size string) url.Values {
	v := url.Values{
		"limit":        {size},
		"created[gte]": {strconv.FormatInt(q.From.Unix(), 10)},
		"created[lte]": {strconv.FormatInt(q.To.Unix(), 10)},
	}
	for _, t := range q.Types {
		v.Add("types[]", t)
	}
	if q.After != "" {
		v.Set("starting_after", q.After)
	}
	return v
}

// mend fetches an unreadable event of the list by its id. If that fails, the item stays as it
// is.
func (c *Client) mend(ctx context.Context, account string, item *reconcile.Item) {
	body, err := c.fetchEvent(ctx, account, item.Event.ID, false)
	if err != nil {
		return
	}
	if again := listed(body, item.Position, item.Event.Livemode); again.Err == nil && again.Event.ID == item.Event.ID {
		*item = again
	}
}

// listed reads one item of a page. Its bytes, a RawMessage's own, become the event's: the
// page's are not kept for one event of it.
func listed(raw json.RawMessage, position int, live bool) reconcile.Item {
	e, err := event.Parse(raw)
	if err == nil && e.Thin() {
		err = errors.New("a thin event in a list of snapshots")
	}
	if err != nil {
		return reconcile.Item{Event: salvage(raw, live), Position: position, Err: err}
	}
	e.Body = raw
	return reconcile.Item{Event: e, Position: position}
}

// salvage reads what it can of an event that is not whole, each member separately.
func salvage(raw json.RawMessage, live bool) event.Envelope {
	e := event.Envelope{Object: event.ObjectSnapshot, Livemode: live}
	var members map[string]json.RawMessage
	if json.Unmarshal(raw, &members) != nil {
		return e
	}
	read := func(name string, to any) bool { return json.Unmarshal(members[name], to) == nil }
	var id, typ, account, context string
	if read("id", &id) && isName(id, "") && strings.HasPrefix(id, "evt_") {
		e.ID = id
	}
	if read("type", &typ) && isName(typ, "._") {
		e.Type = typ
	}
	if read("account", &account) && isName(account, "") {
		e.Account = account
	}
	if e.Account == "" && read("context", &context) && isName(context, "/") {
		e.Account, e.AccountFrom = event.ContextAccount(context), event.FromContext
	}
	var created int64
	if read("created", &created) {
		e.Created = created
	}
	var mode bool
	if read("livemode", &mode) {
		e.Livemode = mode
	}
	var data struct{ Object struct{ ID string } }
	if read("data", &data) && len(data.Object.ID) <= event.MaxObjectIDBytes {
		e.ObjectID = data.Object.ID
	}
	return e
}

// Livemode reports the mode that the key is for, which is that of every event it lists.
func (c *Client) Livemode(ctx context.Context) (bool, error) {
	key, err := c.key(ctx)
	if err != nil {
		return false, err
	}
	return isLive(key), nil
}

func isLive(key string) bool { return strings.Contains(key, "_live_") }
