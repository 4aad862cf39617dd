package stream

import (
	"fmt"
	"os"
	"testing"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/testkit"
)

// helpers are programs that tests run in other processes: this binary, with the name in the
// environment.
var helpers = map[string]func(args []string) error{}

const helperKey = "STREAM_TEST_HELPER"

func TestMain(m *testing.M) {
	if helper := helpers[os.Getenv(helperKey)]; helper != nil {
		if err := helper(os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(testkit.LeakChecked(m).Run())
}
