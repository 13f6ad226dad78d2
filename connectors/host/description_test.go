package host_test

import (
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	freezev1 "github.com/countersign/countersign/connectors/connectortest/acme/freeze/v1"
	"github.com/countersign/countersign/connectors/host"
	connectorv1 "github.com/countersign/countersign/proto/countersign/connector/v1"
)

// described is a description as a well-behaved connector gives it, over the wire once.
func described(t testing.TB) *connectorv1.DescribeResponse {
	t.Helper()
	set := &descriptorpb.FileDescriptorSet{}
	for _, file := range []protoreflect.FileDescriptor{
		freezev1.File_acme_freeze_v1_freeze_proto, connectorv1.File_countersign_connector_v1_observation_proto,
		connectorv1.File_countersign_connector_v1_options_proto, timestamppb.File_google_protobuf_timestamp_proto,
		descriptorpb.File_google_protobuf_descriptor_proto,
	} {
		set.File = append(set.File, protodesc.ToFileDescriptorProto(file))
	}
	raw, err := proto.Marshal(&connectorv1.DescribeResponse{
		Name: "acme-freeze", Version: "1.0.0", Vendor: "Acme", FileDescriptorSet: set,
		Capabilities: []string{getFreeze}, ConfigType: "acme.freeze.v1.Config",
	})
	if err != nil {
		t.Fatal(err)
	}
	d := &connectorv1.DescribeResponse{}
	if err := proto.Unmarshal(raw, d); err != nil {
		t.Fatal(err)
	}
	return d
}

func TestOptionsAreReadableFromDescriptors(t *testing.T) {
	t.Parallel()
	d, err := host.NewDescription(described(t))
	if err != nil {
		t.Fatal(err)
	}
	capability := d.Capabilities[0]
	rules, _ := proto.GetExtension(capability.Options(), connectorv1.E_Capability).(*connectorv1.CapabilityRules)
	if !strings.HasPrefix(rules.GetDoc(), "Is this team's") {
		t.Errorf("capability %v", rules)
	}
	team, _ := proto.GetExtension(capability.Input().Fields().ByName("team").Options(), connectorv1.E_Field).(*connectorv1.FieldRules)
	code, _ := proto.GetExtension(capability.Output().Fields().ByName("bypass_code").Options(), connectorv1.E_Field).(*connectorv1.FieldRules)
	if !team.GetRequired() || code.GetSensitivity() != connectorv1.Sensitivity_SENSITIVITY_SECRET {
		t.Errorf("team %v, bypass_code %v", team, code)
	}
	if d.Config.FullName() != "acme.freeze.v1.Config" {
		t.Errorf("config %s", d.Config.FullName())
	}
	if _, err := d.Files.FindDescriptorByName("google.protobuf.Timestamp"); err != nil {
		t.Error(err)
	}
}

func TestDescriptorsWorkForAskingWithoutGeneratedCode(t *testing.T) {
	t.Parallel()
	c := start(t, freeze(t), options(t))
	capability := c.Description().Capabilities[0]
	request, response := dynamicpb.NewMessage(capability.Input()), dynamicpb.NewMessage(capability.Output())
	request.Set(capability.Input().Fields().ByName("team"), protoreflect.ValueOfString("payments"))
	if err := c.Invoke(t.Context(), getFreeze, request, response); err != nil {
		t.Fatal(err)
	}
	if !response.Has(capability.Output().Fields().ByName("frozen")) || len(response.GetUnknown()) > 0 {
		t.Errorf("%v", response)
	}
}

func TestTheGatewaysOwnFilesWin(t *testing.T) {
	t.Parallel()
	raw := described(t)
	for _, file := range raw.GetFileDescriptorSet().GetFile() {
		switch file.GetName() {
		case "google/protobuf/timestamp.proto":
			file.MessageType[0].Field[0].Name = new("lies")
		case "countersign/connector/v1/observation.proto":
			file.MessageType[0].Field = file.MessageType[0].Field[:1]
		}
	}
	d, err := host.NewDescription(raw)
	if err != nil {
		t.Fatal(err)
	}
	output := d.Capabilities[0].Output()
	if output.Fields().ByName("observation").Message() != (*connectorv1.Observation)(nil).ProtoReflect().Descriptor() {
		t.Error("the connector's observation is used")
	}
	if output.Fields().ByName("until").Message() != (*timestamppb.Timestamp)(nil).ProtoReflect().Descriptor() {
		t.Error("the connector's timestamp is used")
	}
}

// vendorFile returns the file that a connector defines itself.
func vendorFile(d *connectorv1.DescribeResponse) *descriptorpb.FileDescriptorProto {
	return d.GetFileDescriptorSet().GetFile()[0]
}

func messageNamed(d *connectorv1.DescribeResponse, name string) *descriptorpb.DescriptorProto {
	for _, m := range vendorFile(d).GetMessageType() {
		if m.GetName() == name {
			return m
		}
	}
	return nil
}

func field(name, typeName string, number int32) *descriptorpb.FieldDescriptorProto {
	return &descriptorpb.FieldDescriptorProto{
		Name: &name, Number: &number, TypeName: &typeName, Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum(),
		Type: descriptorpb.FieldDescriptorProto_TYPE_MESSAGE.Enum(),
	}
}

func TestDescriptionsThatAreRefused(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		spoil func(*connectorv1.DescribeResponse)
		want  string
	}{
		"no name":               {func(d *connectorv1.DescribeResponse) { d.Name = "" }, "name"},
		"a name with a newline": {func(d *connectorv1.DescribeResponse) { d.Name = "a\nb" }, "name"},
		"a long version":        {func(d *connectorv1.DescribeResponse) { d.Version = strings.Repeat("1", 200) }, "version"},
		"no vendor":             {func(d *connectorv1.DescribeResponse) { d.Vendor = "" }, "vendor"},
		"no capabilities":       {func(d *connectorv1.DescribeResponse) { d.Capabilities = nil }, "0 capabilities"},
		"a capability twice":    {func(d *connectorv1.DescribeResponse) { d.Capabilities = append(d.Capabilities, getFreeze) }, "twice"},
		"a capability nowhere": {func(d *connectorv1.DescribeResponse) {
			d.Capabilities = []string{"acme.freeze.v1.FreezeService/Thaw"}
		}, "not in the descriptors"},
		"a capability in another spelling": {func(d *connectorv1.DescribeResponse) {
			d.Capabilities = []string{"/" + getFreeze}
		}, "package.Service/Method"},
		"a message as a capability": {func(d *connectorv1.DescribeResponse) { d.Capabilities = []string{"acme.freeze.v1.Freeze/team"} }, "not a method"},
		"a method of ours": {func(d *connectorv1.DescribeResponse) {
			d.Capabilities = []string{"countersign.connector.v1.ConnectorService/Configure"}
		}, "a package of ours"},
		"a stream": {func(d *connectorv1.DescribeResponse) {
			vendorFile(d).Service[0].Method[0].ServerStreaming = new(true)
		}, "not unary"},
		"no observation": {func(d *connectorv1.DescribeResponse) {
			m := messageNamed(d, "GetFreezeResponse")
			m.Field = m.GetField()[1:]
		}, "observation"},
		"a configuration nowhere": {func(d *connectorv1.DescribeResponse) { d.ConfigType = "acme.freeze.v1.Settings" }, "configuration"},
		"a file of ours under another path": {func(d *connectorv1.DescribeResponse) {
			vendorFile(d).Package = new("countersign.connector.v1")
		}, "not the connector's to define"},
		"a file of Google's under another path": {func(d *connectorv1.DescribeResponse) {
			vendorFile(d).Package = new("google.protobuf")
		}, "not the connector's to define"},
		"a file of Google's we do not have": {func(d *connectorv1.DescribeResponse) {
			vendorFile(d).Dependency = append(vendorFile(d).Dependency, "google/type/money.proto")
		}, "google/type/money.proto"},
		"a missing import": {func(d *connectorv1.DescribeResponse) {
			vendorFile(d).Dependency = append(vendorFile(d).Dependency, "acme/missing.proto")
		}, "acme/missing.proto"},
		"a file that imports itself": {func(d *connectorv1.DescribeResponse) {
			vendorFile(d).Dependency = append(vendorFile(d).Dependency, vendorFile(d).GetName())
		}, "imports itself"},
		"a file twice": {func(d *connectorv1.DescribeResponse) {
			d.FileDescriptorSet.File = append(d.FileDescriptorSet.File, vendorFile(d))
		}, "twice"},
		"a type nowhere": {func(d *connectorv1.DescribeResponse) {
			m := messageNamed(d, "Contact")
			m.Field = append(m.Field, field("x", ".acme.Nowhere", 9))
		}, "Nowhere"},
		"more than 1 MiB": {func(d *connectorv1.DescribeResponse) {
			m := messageNamed(d, "Contact")
			m.ReservedName = []string{strings.Repeat("x", 1<<20)}
		}, "bytes"},
		"more than 200 messages": {func(d *connectorv1.DescribeResponse) {
			for i := range 200 {
				vendorFile(d).MessageType = append(vendorFile(d).MessageType, &descriptorpb.DescriptorProto{Name: new(fmt.Sprintf("M%d", i))})
			}
		}, "200 messages"},
		"definitions nested deeper than 16": {func(d *connectorv1.DescribeResponse) {
			m := messageNamed(d, "Contact")
			for range 17 {
				nested := &descriptorpb.DescriptorProto{Name: new("N")}
				m.NestedType = append(m.NestedType, nested)
				m = nested
			}
		}, "deeper than 16"},
		"facts that contain themselves": {func(d *connectorv1.DescribeResponse) {
			m := messageNamed(d, "Contact")
			m.Field = append(m.Field, field("manager", ".acme.freeze.v1.Contact", 9))
		}, "deeper than 16"},
		"settings that contain themselves": {func(d *connectorv1.DescribeResponse) {
			m := messageNamed(d, "File")
			m.Field = append(m.Field, field("next", ".acme.freeze.v1.Config", 9))
		}, "deeper than 16"},
		"facts nested deeper than 16": {func(d *connectorv1.DescribeResponse) {
			d.ConfigType = ""
			chain(d, 15)
		}, "deeper than 16"},
		"no descriptors at all": {func(d *connectorv1.DescribeResponse) { d.FileDescriptorSet = nil }, "not in the descriptors"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := described(t)
			c.spoil(d)
			if _, err := host.NewDescription(d); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want an error about %q", err, c.want)
			}
		})
	}
}

// chain adds n messages, each in the one before, below Contact.
func chain(d *connectorv1.DescribeResponse, n int) {
	above := messageNamed(d, "Contact")
	for i := range n {
		name := fmt.Sprintf("Link%d", i)
		above.Field = append(above.Field, field("link", ".acme.freeze.v1."+name, 9))
		above = &descriptorpb.DescriptorProto{Name: &name}
		vendorFile(d).MessageType = append(vendorFile(d).MessageType, above)
	}
}

func TestDescriptionsWithinTheBounds(t *testing.T) {
	t.Parallel()
	cases := map[string]func(*connectorv1.DescribeResponse){
		"nothing to configure": func(d *connectorv1.DescribeResponse) { d.ConfigType = "" },
		"facts nested 16 deep": func(d *connectorv1.DescribeResponse) {
			d.ConfigType = ""
			chain(d, 14)
		},
		"files in another order": func(d *connectorv1.DescribeResponse) { reverse(d.FileDescriptorSet.File) },
		"only files of its own": func(d *connectorv1.DescribeResponse) {
			d.FileDescriptorSet.File = d.FileDescriptorSet.File[:1]
		},
		"a well-known type that contains itself": func(d *connectorv1.DescribeResponse) {
			vendorFile(d).Dependency = append(vendorFile(d).Dependency, structpb.File_google_protobuf_struct_proto.Path())
			m := messageNamed(d, "Contact")
			m.Field = append(m.Field, field("more", ".google.protobuf.Struct", 9))
		},
	}
	for name, change := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := described(t)
			change(d)
			if _, err := host.NewDescription(d); err != nil {
				t.Error(err)
			}
		})
	}
}

func reverse[T any](all []T) {
	for i, j := 0, len(all)-1; i < j; i, j = i+1, j-1 {
		all[i], all[j] = all[j], all[i]
	}
}

// FuzzDescription looks for a description that harms the gateway.
func FuzzDescription(f *testing.F) {
	small := described(f)
	small.FileDescriptorSet.File = small.GetFileDescriptorSet().GetFile()[:1]
	seed, err := proto.Marshal(small)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Fuzz(func(_ *testing.T, raw []byte) {
		d := &connectorv1.DescribeResponse{}
		if proto.Unmarshal(raw, d) != nil {
			return
		}
		got, err := host.NewDescription(d)
		if err != nil {
			return
		}
		for _, capability := range got.Capabilities {
			_ = dynamicpb.NewMessage(capability.Output())
			_ = proto.GetExtension(capability.Options(), connectorv1.E_Capability)
		}
	})
}
