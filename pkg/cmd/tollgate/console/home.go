package console

import (
	"context"
	"embed"
	"net/http"

	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/console"
)

//go:embed home.html
var templates embed.FS

// home is the first page until the overview exists.
func home(a *verb.App) []console.Page {
	return []console.Page{{
		Path: "/", Title: "Overview", Nav: "Watch/Overview", Views: console.Parse(templates, "home.html"),
		Load: func(ctx context.Context, _ *http.Request) (any, error) { return a.Target(ctx) },
	}}
}
