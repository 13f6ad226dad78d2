// Package proto_test holds the contract to its own rules.
package proto_test

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	_ "github.com/countersign/countersign/proto/countersign/calendar/v1"
	connectorv1 "github.com/countersign/countersign/proto/countersign/connector/v1"
	_ "github.com/countersign/countersign/proto/countersign/employment/v1"
	_ "github.com/countersign/countersign/proto/countersign/incident/v1"
	_ "github.com/countersign/countersign/proto/countersign/oncall/v1"
	_ "github.com/countersign/countersign/proto/countersign/principal/v1"
	_ "github.com/countersign/countersign/proto/countersign/ticket/v1"
)

// capabilities are the methods of every standard service.
func capabilities(t *testing.T) []protoreflect.MethodDescriptor {
	t.Helper()
	var methods []protoreflect.MethodDescriptor
	protoregistry.GlobalFiles.RangeFiles(func(f protoreflect.FileDescriptor) bool {
		own := strings.HasPrefix(string(f.Package()), "countersign.") && f.Package() != "countersign.connector.v1"
		for i := range f.Services().Len() {
			for j := range f.Services().Get(i).Methods().Len() {
				if own {
					methods = append(methods, f.Services().Get(i).Methods().Get(j))
				}
			}
		}
		return true
	})
	if len(methods) != 6 {
		t.Fatalf("%d capabilities, want 6", len(methods))
	}
	return methods
}

func TestCapabilitiesAreReadsWithASentence(t *testing.T) {
	t.Parallel()
	for _, m := range capabilities(t) {
		rules, _ := proto.GetExtension(m.Options(), connectorv1.E_Capability).(*connectorv1.CapabilityRules)
		if !strings.HasSuffix(rules.GetDoc(), "?") {
			t.Errorf("%s: %q is not a question", m.FullName(), rules.GetDoc())
		}
		options, _ := m.Options().(*descriptorpb.MethodOptions)
		if options.GetIdempotencyLevel() != descriptorpb.MethodOptions_NO_SIDE_EFFECTS {
			t.Errorf("%s may have side effects", m.FullName())
		}
	}
}

func TestEveryFieldSaysWhatItIsAndWhoMaySeeIt(t *testing.T) {
	t.Parallel()
	for _, m := range capabilities(t) {
		for _, message := range []protoreflect.MessageDescriptor{m.Input(), m.Output()} {
			for i := range message.Fields().Len() {
				check(t, message.Fields().Get(i))
			}
		}
	}
}

func check(t *testing.T, f protoreflect.FieldDescriptor) {
	t.Helper()
	if f.Message() != nil && f.Message().FullName() == "countersign.connector.v1.Observation" {
		return
	}
	rules, _ := proto.GetExtension(f.Options(), connectorv1.E_Field).(*connectorv1.FieldRules)
	if !strings.HasSuffix(rules.GetDoc(), ".") {
		t.Errorf("%s: %q is no sentence", f.FullName(), rules.GetDoc())
	}
	if rules.GetSensitivity() == connectorv1.Sensitivity_SENSITIVITY_UNSPECIFIED {
		t.Errorf("%s has no sensitivity", f.FullName())
	}
	if !f.IsList() && !f.HasPresence() {
		t.Errorf("%s cannot tell a value from its absence", f.FullName())
	}
}
