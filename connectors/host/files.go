package host

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/countersign/countersign/connectors/internal/handshake"
)

// ours reports whether a file is one the gateway uses its own copy of.
func ours(path string) bool {
	return strings.HasPrefix(path, "google/") || strings.HasPrefix(path, "countersign/connector/")
}

// reserved reports whether a package is one that a connector may not define.
func reserved(pkg string) bool {
	return pkg == "google" || strings.HasPrefix(pkg, "google.") ||
		pkg == "countersign.connector" || strings.HasPrefix(pkg, "countersign.connector.")
}

// loadFiles builds the registry of a connector's files.
func loadFiles(set *descriptorpb.FileDescriptorSet) (*protoregistry.Files, error) {
	if size := proto.Size(set); size > handshake.MaxDescriptors {
		return nil, fmt.Errorf("descriptors take %d bytes, at most %d are read", size, handshake.MaxDescriptors)
	}
	l := loader{files: &protoregistry.Files{}, pending: map[string]*descriptorpb.FileDescriptorProto{}}
	messages := 0
	for _, file := range set.GetFile() {
		if ours(file.GetName()) {
			continue
		}
		if reserved(file.GetPackage()) {
			return nil, fmt.Errorf("file %.200q defines the package %s, which is not the connector's to define", file.GetName(), file.GetPackage())
		}
		if l.pending[file.GetName()] != nil {
			return nil, fmt.Errorf("file %.200q is there twice", file.GetName())
		}
		count, depth := count(file.GetMessageType())
		if messages += count; messages > maxMessages || depth > maxDepth {
			return nil, fmt.Errorf("descriptors have more than %d messages, or nest them deeper than %d", maxMessages, maxDepth)
		}
		l.pending[file.GetName()] = file
	}
	for _, file := range set.GetFile() {
		if _, err := l.FindFileByPath(file.GetName()); err != nil {
			return nil, err
		}
	}
	return l.files, nil
}

func count(messages []*descriptorpb.DescriptorProto) (total, depth int) {
	for _, m := range messages {
		n, d := count(m.GetNestedType())
		total += n + 1
		depth = max(depth, d+1)
	}
	return total, depth
}

// loader builds files in the order of their imports; it is the resolver of the files it builds.
type loader struct {
	files   *protoregistry.Files
	pending map[string]*descriptorpb.FileDescriptorProto
}

// FindFileByPath returns a file, built first if need be: the gateway's own copy, or the connector's.
func (l loader) FindFileByPath(path string) (protoreflect.FileDescriptor, error) {
	if file, err := l.files.FindFileByPath(path); err == nil {
		return file, nil
	}
	file, err := l.load(path)
	if err != nil {
		return nil, err
	}
	return file, l.files.RegisterFile(file)
}

func (l loader) load(path string) (protoreflect.FileDescriptor, error) {
	if ours(path) {
		file, err := protoregistry.GlobalFiles.FindFileByPath(path)
		if err != nil {
			return nil, fmt.Errorf("file %.200q is not one this gateway knows", path)
		}
		return file, l.registerImports(file)
	}
	file := l.pending[path]
	if file == nil {
		return nil, fmt.Errorf("file %.200q is imported and not there, or imports itself", path)
	}
	delete(l.pending, path)
	for _, dependency := range file.GetDependency() {
		if _, err := l.FindFileByPath(dependency); err != nil {
			return nil, err
		}
	}
	built, err := protodesc.NewFile(file, l)
	if err != nil {
		return nil, fmt.Errorf("file %.200q: %w", path, err)
	}
	return built, nil
}

func (l loader) registerImports(file protoreflect.FileDescriptor) error {
	for i := range file.Imports().Len() {
		if _, err := l.FindFileByPath(file.Imports().Get(i).Path()); err != nil {
			return err
		}
	}
	return nil
}

// FindDescriptorByName finds what a file under construction refers to.
func (l loader) FindDescriptorByName(name protoreflect.FullName) (protoreflect.Descriptor, error) {
	return l.files.FindDescriptorByName(name)
}
