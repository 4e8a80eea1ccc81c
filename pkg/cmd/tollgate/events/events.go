// Package events has the verbs on events and their records: list, show, replay, purge and
// reidentify.
package events
