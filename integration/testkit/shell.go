package testkit

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os/exec"
	"strings"
)

// RunShell runs statements, dot commands on a line each, in a new shell and returns what it prints,
// messages at the end.
func RunShell(cmd *exec.Cmd, statements ...string) (string, error) {
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = lines(statements), &stdout, &stderr
	err := cmd.Run()
	return strings.TrimSpace(stdout.String() + stderr.String()), err
}

// A Shell is a stock sqlite3 shell that keeps its connection, as an application does.
type Shell struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

// StartShell starts a shell that waits for statements.
func StartShell(cmd *exec.Cmd) (*Shell, error) {
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	cmd.Stderr = cmd.Stdout
	return &Shell{cmd, in, bufio.NewReader(out)}, cmd.Start()
}

// Run runs statements, none of which may fail, and returns what they print.
func (s *Shell) Run(statements ...string) (string, error) {
	printed, err := s.Try(statements...)
	if err == nil && strings.Contains(printed, "rror") { // Error: ..., Parse error near line ...
		err = fmt.Errorf("sqlite3: %s", printed)
	}
	return printed, err
}

// Try runs statements and returns what they print, messages included. It fails if the shell has
// ended.
func (s *Shell) Try(statements ...string) (string, error) {
	const mark = "=== done ==="
	if _, err := io.Copy(s.in, lines(append(statements, ".print "+mark))); err != nil {
		return "", fmt.Errorf("sqlite3: %w", err)
	}
	var printed strings.Builder
	for {
		line, err := s.out.ReadString('\n')
		if err != nil {
			return "", fmt.Errorf("sqlite3 has ended: %w: %s%s", err, printed.String(), line)
		}
		if strings.TrimSpace(line) == mark {
			return strings.TrimSpace(printed.String()), nil
		}
		printed.WriteString(line)
	}
}

// Close closes the session as an application does: the last one to do so checkpoints the WAL and
// removes it.
func (s *Shell) Close() {
	s.in.Close()
	s.cmd.Wait()
}

// Kill kills the shell, as a crash does: what it leaves behind stays.
func (s *Shell) Kill() {
	s.cmd.Process.Kill()
	s.cmd.Wait()
}

// Pid returns the process ID of the shell.
func (s *Shell) Pid() int { return s.cmd.Process.Pid }

func lines(statements []string) io.Reader {
	return strings.NewReader(strings.Join(statements, "\n") + "\n")
}
