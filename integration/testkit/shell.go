package testkit

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os/exec"
	"strings"
)

// RunShell gives statements, dot commands on a line each, to a shell of their own and returns what
// it prints, messages at the end.
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

// Close ends the session as an application ends: the last one to do so folds the WAL back and
// removes it.
func (s *Shell) Close() {
	s.in.Close()
	s.cmd.Wait()
}

// Kill ends the session as a crash does: whatever it leaves behind stays.
func (s *Shell) Kill() {
	s.cmd.Process.Kill()
	s.cmd.Wait()
}

// Pid is the process ID of the shell.
func (s *Shell) Pid() int { return s.cmd.Process.Pid }

func lines(statements []string) io.Reader {
	return strings.NewReader(strings.Join(statements, "\n") + "\n")
}
