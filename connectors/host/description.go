package host

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	connectorv1 "github.com/countersign/countersign/proto/countersign/connector/v1"
)

// Description is what a connector says about itself, checked.
type Description struct {
	Name, Version, Vendor string
	// Capabilities are unary methods whose answers carry an observation, in the connector's order.
	// proto.GetExtension reads our options from them and from their fields.
	Capabilities []protoreflect.MethodDescriptor
	// Config is the configuration message; nil if there is nothing to configure.
	Config protoreflect.MessageDescriptor
	// Files are the connector's files and everything they import. The files of google.protobuf and of
	// countersign.connector are the gateway's own, whatever the connector sent.
	Files *protoregistry.Files
	Raw   *connectorv1.DescribeResponse
}

// Bounds of what a connector may describe. A policy is type-checked against these descriptors, so their
// size is work for whoever loads policies.
const (
	maxCapabilities = 64
	maxMessages     = 200
	maxDepth        = 16
	maxText         = 128
)

// capability returns the method of a name such as "acme.freeze.v1.FreezeService/GetFreeze".
func (d *Description) capability(method string) protoreflect.MethodDescriptor {
	for _, m := range d.Capabilities {
		if methodName(m) == method {
			return m
		}
	}
	return nil
}

func methodName(m protoreflect.MethodDescriptor) string {
	return string(m.Parent().FullName()) + "/" + string(m.Name())
}

// ParseDescription reads a description that was kept: Description.Raw in binary form. It is checked as
// one that comes from a connector is.
func ParseDescription(raw []byte) (*Description, error) {
	var said connectorv1.DescribeResponse
	if err := proto.Unmarshal(raw, &said); err != nil {
		return nil, err
	}
	return newDescription(&said)
}

// newDescription checks what a connector says about itself. The connector is the vendor's code, and
// nothing it says is taken for granted.
func newDescription(raw *connectorv1.DescribeResponse) (*Description, error) {
	d := &Description{Name: raw.GetName(), Version: raw.GetVersion(), Vendor: raw.GetVendor(), Raw: raw}
	if err := d.checkNames(); err != nil {
		return nil, err
	}
	var err error
	if d.Files, err = loadFiles(raw.GetFileDescriptorSet()); err != nil {
		return nil, err
	}
	if err := d.findCapabilities(); err != nil {
		return nil, err
	}
	return d, d.findConfig()
}

func (d *Description) checkNames() error {
	plain := regexp.MustCompile(`^[[:graph:]]([ [:graph:]]{0,126}[[:graph:]])?$`)
	switch {
	case !regexp.MustCompile(`^[a-z][a-z0-9-]{0,62}$`).MatchString(d.Name):
		return fmt.Errorf("name %.80q is not lower-case letters, digits and hyphens", d.Name)
	case !plain.MatchString(d.Version):
		return fmt.Errorf("version %.80q is not printable text of at most %d bytes", d.Version, maxText)
	case strings.ContainsFunc(d.Vendor, func(r rune) bool { return r < ' ' }) || d.Vendor == "" || len(d.Vendor) > maxText:
		return fmt.Errorf("vendor %.80q is not printable text of at most %d bytes", d.Vendor, maxText)
	}
	return nil
}

func (d *Description) findCapabilities() error {
	names := d.Raw.GetCapabilities()
	if len(names) == 0 || len(names) > maxCapabilities {
		return fmt.Errorf("describes %d capabilities, not 1 to %d", len(names), maxCapabilities)
	}
	for _, name := range names {
		method, err := d.findCapability(name)
		if err != nil {
			return fmt.Errorf("capability %.200q %w", name, err)
		}
		if d.capability(name) != nil {
			return fmt.Errorf("capability %s is listed twice", name)
		}
		d.Capabilities = append(d.Capabilities, method)
	}
	return nil
}

func (d *Description) findCapability(name string) (protoreflect.MethodDescriptor, error) {
	service, method, ok := strings.Cut(name, "/")
	full := protoreflect.FullName(service).Append(protoreflect.Name(method))
	if !ok || !full.IsValid() || reserved(string(full.Parent().Parent())) {
		return nil, errors.New("is not named as package.Service/Method, or uses a package of ours")
	}
	found, err := d.Files.FindDescriptorByName(full)
	if err != nil {
		return nil, errors.New("is not in the descriptors")
	}
	m, ok := found.(protoreflect.MethodDescriptor)
	switch {
	case !ok:
		return nil, errors.New("is not a method")
	case m.IsStreamingClient() || m.IsStreamingServer():
		return nil, errors.New("is not unary")
	case !carriesObservation(m.Output()):
		return nil, errors.New("answers without an observation")
	case deeper(m.Input(), maxDepth) || deeper(m.Output(), maxDepth):
		return nil, fmt.Errorf("nests messages deeper than %d", maxDepth)
	}
	return m, nil
}

func (d *Description) findConfig() error {
	name := protoreflect.FullName(d.Raw.GetConfigType())
	if name == "" {
		return nil
	}
	found, err := d.Files.FindDescriptorByName(name)
	config, ok := found.(protoreflect.MessageDescriptor)
	if err != nil || !ok {
		return fmt.Errorf("configuration %.200q is not a message of the descriptors", name)
	}
	if deeper(config, maxDepth) {
		return fmt.Errorf("configuration %s nests messages deeper than %d", name, maxDepth)
	}
	d.Config = config
	return nil
}

func carriesObservation(m protoreflect.MessageDescriptor) bool {
	want := (*connectorv1.Observation)(nil).ProtoReflect().Descriptor().FullName()
	for i := range m.Fields().Len() {
		f := m.Fields().Get(i)
		if f.Message() != nil && f.Cardinality() != protoreflect.Repeated && f.Message().FullName() == want {
			return true
		}
	}
	return false
}

// deeper reports whether values of a message can nest deeper than a number of levels, which those of a
// message that contains itself can. The well-known types count as values.
func deeper(m protoreflect.MessageDescriptor, levels int) bool {
	return depths{}.of(m) > levels
}

// depths measures messages, each once: a graph of n messages has up to 2^n paths.
type depths map[protoreflect.FullName]int

const endless = 1 << 20

func (d depths) of(m protoreflect.MessageDescriptor) int {
	if m.ParentFile().Package() == "google.protobuf" {
		return 0
	}
	if depth, seen := d[m.FullName()]; seen {
		return depth
	}
	d[m.FullName()] = endless // met again on the way down, it contains itself
	deepest := 0
	for i := range m.Fields().Len() {
		if nested := m.Fields().Get(i).Message(); nested != nil {
			deepest = max(deepest, d.of(nested))
		}
	}
	d[m.FullName()] = deepest + 1
	return deepest + 1
}
