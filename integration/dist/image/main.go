// Command image writes an OCI image layout with nothing in it but a static program, for several
// architectures:
//
//	image VERSION CREATED DIR amd64=PROGRAM arm64=PROGRAM
//
// CREATED is in seconds since 1970, and the image depends on nothing but these arguments.
package main

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

const name = "sqlite-checkpoint"

func main() {
	if len(os.Args) < 5 {
		fmt.Fprintln(os.Stderr, "usage: image VERSION CREATED DIR ARCH=PROGRAM...")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2], os.Args[3], os.Args[4:]); err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

func run(version, created, dir string, programs []string) error {
	seconds, err := strconv.ParseInt(created, 10, 64)
	if err != nil {
		return err
	}
	when := time.Unix(seconds, 0).UTC()
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, program := range programs {
		arch, path, _ := strings.Cut(program, "=")
		image, err := build(version, arch, path, when)
		if err != nil {
			return err
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add: image,
			Descriptor: v1.Descriptor{
				Platform:    &v1.Platform{OS: "linux", Architecture: arch},
				Annotations: map[string]string{"org.opencontainers.image.ref.name": version + "-" + arch},
			},
		})
	}
	_, err = layout.Write(dir, index)
	return err
}

// build makes the image of one architecture: one layer, the user nobody, and the program as its
// entry point.
func build(version, arch, path string, when time.Time) (v1.Image, error) {
	layer, err := newLayer(path, when)
	if err != nil {
		return nil, err
	}
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	if image, err = mutate.AppendLayers(image, layer); err != nil {
		return nil, err
	}
	return mutate.ConfigFile(image, config(image, version, arch, when))
}

func config(image v1.Image, version, arch string, when time.Time) *v1.ConfigFile {
	made, err := image.ConfigFile()
	if err != nil {
		panic(err) // the image is in memory
	}
	c := made.DeepCopy()
	c.OS, c.Architecture, c.Created = "linux", arch, v1.Time{Time: when}
	c.History = []v1.History{{Created: v1.Time{Time: when}, CreatedBy: "make dist"}}
	c.Config = v1.Config{
		User:       "65534:65534",
		Entrypoint: []string{"/" + name},
		Env:        []string{"SQLITE_TMPDIR=/tmp"},
		Labels: map[string]string{
			"org.opencontainers.image.title":    name,
			"org.opencontainers.image.version":  version,
			"org.opencontainers.image.source":   "https://github.com/greyforgelabs/sqlite-checkpoint",
			"org.opencontainers.image.licenses": "MIT",
		},
	}
	return c
}

// newLayer contains the program, and a /tmp in case none is mounted.
func newLayer(path string, when time.Time) (v1.Layer, error) {
	program, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	tmp := &tar.Header{Typeflag: tar.TypeDir, Name: "tmp/", Mode: 0o1777, ModTime: when}
	file := &tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o755, ModTime: when, Size: int64(len(program))}
	if err := w.WriteHeader(tmp); err != nil {
		return nil, err
	}
	if err := w.WriteHeader(file); err != nil {
		return nil, err
	}
	if _, err := w.Write(program); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(archive.Bytes())), nil }
	return tarball.LayerFromOpener(open, tarball.WithMediaType(types.OCILayer))
}
