package main

import (
	"os"

	"github.com/greyforgelabs/sqlite-checkpoint/cmd/sqlite-checkpoint/internal/stage"
	"github.com/greyforgelabs/sqlite-checkpoint/cmd/sqlite-checkpoint/internal/view"
	"github.com/greyforgelabs/sqlite-checkpoint/engine"
)

// A shadowRun is a run of shadow.
type shadowRun struct {
	*shadowCmd
	con       *console
	argv      []string
	bare      bool // CMD reads the stage itself, without a view
	roots     []shadowRoot
	databases []string            // absolute paths
	live      map[string][]string // to each directory, the excluded names in it
	stage     *stage.Stage
	copies    []stage.Copy
	view      view.View
}

// A shadowRoot is a DIR.
type shadowRoot struct {
	typed string
	path  string // absolute, without symbolic links
}

// prepare fails early where the run would fail later.
func (cmd *shadowCmd) prepare(con *console) (*shadowRun, error) {
	s := &shadowRun{shadowCmd: cmd, con: con, bare: cmd.mentions(stageMark), live: map[string][]string{}}
	var err error
	if s.argv, err = commandOf("shadow DIR", cmd.Command); err != nil {
		return nil, err
	}
	if err := checkCommand(s.argv[0]); err != nil {
		return nil, err
	}
	for _, dir := range cmd.Dirs {
		root, err := openRoot(dir)
		if err != nil {
			return nil, err
		}
		s.roots = append(s.roots, root)
	}
	if s.bare {
		return s, nil
	}
	return s, s.checkNamespace()
}

func openRoot(dir string) (shadowRoot, error) {
	if dir == "" {
		return shadowRoot{}, usagef("DIR must not be empty")
	}
	path, err := engine.Resolve(dir)
	if err != nil {
		return shadowRoot{}, searchError(dir, err)
	}
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return shadowRoot{}, searchError(dir, err)
	case !info.IsDir():
		return shadowRoot{}, usagef("%s is not a directory: backup and pipe copy a single database", dir)
	case path == "/":
		return shadowRoot{}, usagef("/ cannot be shadowed: name the directories below it")
	}
	return shadowRoot{dir, path}, nil
}

// searchError is the error for a DIR that cannot be searched at all.
func searchError(dir string, err error) error {
	return &engine.Error{Kind: unreadableKind(err), Op: "search", Path: dir, Err: cause(err)}
}

// withoutNamespace is the hint where there can be no view.
const withoutNamespace = "use the form without mounts: " +
	"shadow --stage STAGE DIR -- CMD --exclude-file {exclude} DIR {stage}"

func (s *shadowRun) checkNamespace() error {
	if err := view.Probe(); err != nil {
		return &fault{kind: kindNamespace, err: err, hint: withoutNamespace}
	}
	for _, root := range s.roots {
		if err := view.CheckOwners(root.path); err != nil {
			return &fault{kind: kindNamespace, err: err, hint: mountHint() + ", or " + withoutNamespace}
		}
	}
	return nil
}

// mountHint returns the hint on how to mount without a user namespace.
func mountHint() string {
	if os.Geteuid() == 0 {
		return "give root CAP_SYS_ADMIN here, as docker run --cap-add SYS_ADMIN does"
	}
	return "run as root"
}
