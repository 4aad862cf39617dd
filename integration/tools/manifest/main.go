// Command manifest reads YAML files and prints each of their documents as one line of JSON. A
// Kubernetes object is decoded into Kubernetes' own types, and a field that those do not know, or a
// field given twice, fails.
package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

func main() {
	for _, name := range os.Args[1:] {
		if err := print(name); err != nil {
			fmt.Fprintf(os.Stderr, "manifest: %s: %v\n", name, err)
			os.Exit(1)
		}
	}
}

func print(name string) error {
	data, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	for documents := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(data))); ; {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = check(document)
		}
		if err != nil {
			return err
		}
		json, err := yaml.YAMLToJSONStrict(document)
		if err != nil {
			return err
		}
		fmt.Printf("%s\n", json)
	}
}

// kinds are those in the examples.
var kinds = map[metav1.TypeMeta]func() any{
	{APIVersion: "apps/v1", Kind: "DaemonSet"}:  func() any { return new(appsv1.DaemonSet) },
	{APIVersion: "apps/v1", Kind: "Deployment"}: func() any { return new(appsv1.Deployment) },
	{APIVersion: "batch/v1", Kind: "Job"}:       func() any { return new(batchv1.Job) },
	{APIVersion: "batch/v1", Kind: "CronJob"}:   func() any { return new(batchv1.CronJob) },
}

func check(document []byte) error {
	var kind metav1.TypeMeta
	if err := yaml.Unmarshal(document, &kind); err != nil || kind.Kind == "" {
		return err
	}
	object, known := kinds[kind]
	if !known {
		return fmt.Errorf("unknown kind %s of %s", kind.Kind, kind.APIVersion)
	}
	return yaml.UnmarshalStrict(document, object())
}
