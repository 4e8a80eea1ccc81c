//go:build !fixed && !fixedboth

package main

const fixes = 0
