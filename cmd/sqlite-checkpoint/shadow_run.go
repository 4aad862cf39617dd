package main

import (
	"bytes"
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"

	"github.com/greyforgelabs/sqlite-checkpoint/cmd/sqlite-checkpoint/internal/guard"
	"github.com/greyforgelabs/sqlite-checkpoint/cmd/sqlite-checkpoint/internal/view"
	"github.com/greyforgelabs/sqlite-checkpoint/engine"
)

// runCommand runs CMD in the view.
func (s *shadowRun) runCommand(ctx context.Context) error {
	s.con.allow(s.Grace)
	defer s.con.allow(0)
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

// lost fails if CMD has created files in a directory that holds a database: they are in the stage,
// which is removed. What SQLite creates beside the copies does not count.
func (s *shadowRun) lost() error {
	if s.bare {
		return nil
	}
	layout := s.layout()
	for _, database := range s.databases {
		layout.Files = append(layout.Files, engine.DatabaseFiles(database)...)
	}
	created, err := s.stage.Strangers(layout)
	if err != nil {
		s.con.warn(err.Error())
	}
	if len(created) == 0 {
		return nil
	}
	f := &fault{
		kind: kindLost, err: fmt.Errorf("shadow %s: what CMD has created beside a database is lost: %d",
			strings.Join(s.Dirs, " "), len(created)),
	}
	for _, path := range created {
		f.findings = append(f.findings, s.typed(path)+": it is not in the live directory")
	}
	return f
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
