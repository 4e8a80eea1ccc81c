//go:build fixed

package main

const fixes = 1
