package main

import (
	"bytes"
	"context"
	"encoding/gob"
	"errors"
	"os"
	"strings"
	"syscall"

	"github.com/greyforgelabs/sqlite-checkpoint/cmd/sqlite-checkpoint/internal/guard"
	"github.com/greyforgelabs/sqlite-checkpoint/cmd/sqlite-checkpoint/internal/view"
)

// runCommand runs CMD in the view.
func (s *shadowRun) runCommand(ctx context.Context) error {
	s.con.allow(s.Grace)
	s.con.yieldTerminal()
	argv := expand(s.argv, stageMark, s.stage.Dir(), excludeMark, s.stage.Aside(excludeName))
	command := guard.Command{
		Argv: argv, Stdin: os.Stdin, Stdout: s.con.stdout, Stderr: s.con.stderr, Grace: s.Grace,
	}
	if !s.bare {
		var setup bytes.Buffer
		if err := gob.NewEncoder(&setup).Encode(s.view); err != nil {
			return err
		}
		command.Setup, command.Guard = setup.Bytes(), &syscall.SysProcAttr{}
		view.Isolate(command.Guard)
	}
	p, err := guard.Start(ctx, command)
	var refused *guard.SetupError
	if errors.As(err, &refused) {
		return &fault{kind: kindNamespace, err: err, hint: withoutNamespace}
	}
	if err != nil {
		return commandFault(err)
	}
	defer p.Close()
	if err := p.Finish(); err != nil {
		return commandFault(p.Explain(err))
	}
	return nil
}

// mountView is what the guard does before it starts CMD.
func mountView(setup []byte) error {
	var v view.View
	if err := gob.NewDecoder(bytes.NewReader(setup)).Decode(&v); err != nil {
		return err
	}
	return view.Mount(v)
}

// expand replaces marks in CMD's arguments; marks and their values alternate.
func expand(argv []string, marksAndValues ...string) []string {
	replacer := strings.NewReplacer(marksAndValues...)
	expanded := make([]string, len(argv))
	for i, arg := range argv {
		expanded[i] = replacer.Replace(arg)
	}
	return expanded
}
