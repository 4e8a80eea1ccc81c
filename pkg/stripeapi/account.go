package stripeapi

import (
	"context"
	"encoding/json"
	"errors"
)

// OwnAccount returns the id of the account that the key is of, acct_…. A restricted key may
// be refused: the error wraps [ErrUnauthorized]. Safe for concurrent use.
func (c *Client) OwnAccount(ctx context.Context) (string, error) {
	body, err := c.get(ctx, request{path: "/v1/account", version: APIVersion, resource: "account"})
	if err != nil {
		return "", endpointError("read the key's account", err)
	}
	var account struct {
		ID     string `json:"id"`
		Object string `json:"object"`
	}
	if json.Unmarshal(body, &account) != nil || account.Object != "account" || !isName(account.ID, "") {
		return "", errors.New("read the key's account: the answer is not an account")
	}
	return account.ID, nil
}

// OfOrganisation reports whether the key is an organisation's, which has no account of its own:
// every request must name one. It makes no request.
func (c *Client) OfOrganisation(ctx context.Context) (bool, error) {
	key, err := c.key(ctx)
	return isOrganisations(key), err
}
