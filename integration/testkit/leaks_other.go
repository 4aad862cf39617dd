//go:build !unix

package testkit

func closeOnExec(int) {}
