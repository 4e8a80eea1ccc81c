//go:build fixedboth

package main

const fixes = 2
