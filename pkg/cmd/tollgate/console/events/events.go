// Package events has the console's pages of events: the search with live rows, and the story of
// one event.
package events

import (
	"embed"
	"time"

	"tollgate/pkg/cmd/tollgate/events"
	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/console"
)

//go:embed *.html
var templates embed.FS

const (
	path = "/events"
	nav  = "Watch/Events"

	// How old an answer may be that a live update shows again. A scan and the logs of a stack cost
	// money or are rationed.
	scanAge  = time.Minute
	namedAge = 5 * time.Second
	storyAge = 15 * time.Second
)

// pages are the views with what they remember.
type pages struct {
	app     *verb.App
	lists   memory[events.Found]
	stories memory[events.Story]
	bodies  bodies
}

// Parts returns the views and the change: to read an event's JSON is audited.
func Parts(a *verb.App) ([]console.Page, []console.Action) {
	p := &pages{app: a}
	views := []console.Page{
		{Path: path, Title: "Events", Nav: nav, Views: console.Parse(templates, "list.html"), Load: p.list, Every: 2 * time.Second},
		{Path: path + "/{id}", Title: "Event", Nav: nav, Views: console.Parse(templates, "story.html"), Load: p.story, Every: 3 * time.Second},
	}
	return views, []console.Action{{Path: path + "/{id}/json", Do: p.readJSON}}
}
