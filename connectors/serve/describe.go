package serve

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/mod/semver"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/countersign/countersign/connectors/internal/handshake"
	connectorv1 "github.com/countersign/countersign/proto/countersign/connector/v1"
)

// describe checks a connector and builds its account of itself from the generated descriptors. The
// result is the same for the same program.
func describe[C proto.Message, I any](c Connector[C, I]) (*connectorv1.DescribeResponse, error) {
	problems := []error{checkNames(c.Name, c.Version, c.Vendor)}
	if c.Open == nil {
		problems = append(problems, errors.New("connector has no Open"))
	}
	if len(c.Capabilities) == 0 {
		problems = append(problems, errors.New("connector has no capabilities"))
	}
	set := fileSet{seen: map[string]bool{}}
	description := &connectorv1.DescribeResponse{Name: c.Name, Version: c.Version, Vendor: c.Vendor}
	for _, capability := range c.Capabilities {
		method, err := capability.find()
		if err == nil && slices.Contains(description.Capabilities, capability.method) {
			err = fmt.Errorf("capability %s is served twice", capability.method)
		}
		if err != nil {
			problems = append(problems, err)
			continue
		}
		description.Capabilities = append(description.Capabilities, capability.method)
		set.add(method.ParentFile())
	}
	slices.Sort(description.Capabilities)
	if config := descriptorOf[C](); config.FullName() != (*emptypb.Empty)(nil).ProtoReflect().Descriptor().FullName() {
		description.ConfigType = string(config.FullName())
		set.add(config.ParentFile())
	}
	description.FileDescriptorSet = set.sorted()
	if size := proto.Size(description.FileDescriptorSet); size > handshake.MaxDescriptors {
		problems = append(problems, fmt.Errorf("descriptors take %d bytes, at most %d are allowed", size, handshake.MaxDescriptors))
	}
	return description, errors.Join(problems...)
}

func checkNames(name, version, vendor string) error {
	switch {
	case !regexp.MustCompile(`^[a-z][a-z0-9-]{0,62}$`).MatchString(name):
		return fmt.Errorf("connector name %q is not lower-case letters, digits and hyphens", name)
	case !semver.IsValid("v" + version):
		return fmt.Errorf("connector version %q is not a semantic version such as 1.2.0", version)
	case vendor == "" || len(vendor) > 128:
		return errors.New("connector has no vendor, or one longer than 128 bytes")
	}
	return nil
}

// find looks the method up among the linked descriptors and compares the types.
func (c Capability[I]) find() (protoreflect.MethodDescriptor, error) {
	name := protoreflect.FullName(strings.ReplaceAll(c.method, "/", "."))
	found, err := protoregistry.GlobalFiles.FindDescriptorByName(name)
	if err != nil {
		return nil, fmt.Errorf("capability %s: %w", c.method, err)
	}
	method, ok := found.(protoreflect.MethodDescriptor)
	switch {
	case !ok || strings.Count(c.method, "/") != 1:
		return nil, fmt.Errorf("capability %s is not a method", c.method)
	case method.IsStreamingClient() || method.IsStreamingServer():
		return nil, fmt.Errorf("capability %s streams; a capability is unary", c.method)
	case method.Input().FullName() != c.request.Descriptor().FullName():
		return nil, fmt.Errorf("capability %s takes a %s, not a %s", c.method, method.Input().FullName(), c.request.Descriptor().FullName())
	case method.Output().FullName() != c.response.Descriptor().FullName():
		return nil, fmt.Errorf("capability %s answers with a %s, not a %s", c.method, method.Output().FullName(), c.response.Descriptor().FullName())
	case !observed(method.Output()):
		return nil, fmt.Errorf("capability %s answers without an observation", c.method)
	}
	return method, nil
}

func observed(m protoreflect.MessageDescriptor) bool {
	want := (*connectorv1.Observation)(nil).ProtoReflect().Descriptor().FullName()
	for i := range m.Fields().Len() {
		f := m.Fields().Get(i)
		if f.Message() != nil && f.Cardinality() != protoreflect.Repeated && f.Message().FullName() == want {
			return true
		}
	}
	return false
}

func descriptorOf[M proto.Message]() protoreflect.MessageDescriptor {
	var zero M
	return zero.ProtoReflect().Descriptor()
}

// fileSet collects files and everything they import.
type fileSet struct {
	seen  map[string]bool
	files []protoreflect.FileDescriptor
}

func (s *fileSet) add(file protoreflect.FileDescriptor) {
	if s.seen[file.Path()] {
		return
	}
	s.seen[file.Path()] = true
	for i := range file.Imports().Len() {
		s.add(file.Imports().Get(i).FileDescriptor)
	}
	s.files = append(s.files, file)
}

// sorted returns the files by path, so that the order does not depend on the order of capabilities.
func (s *fileSet) sorted() *descriptorpb.FileDescriptorSet {
	slices.SortFunc(s.files, func(a, b protoreflect.FileDescriptor) int { return strings.Compare(a.Path(), b.Path()) })
	set := &descriptorpb.FileDescriptorSet{}
	for _, file := range s.files {
		set.File = append(set.File, protodesc.ToFileDescriptorProto(file))
	}
	return set
}
