package world_test

import (
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/countersign/countersign/gateway/internal/pim"
	"github.com/countersign/countersign/gateway/internal/policy"
	connectorv1 "github.com/countersign/countersign/proto/countersign/connector/v1"
	employmentv1 "github.com/countersign/countersign/proto/countersign/employment/v1"
	incidentv1 "github.com/countersign/countersign/proto/countersign/incident/v1"
	oncallv1 "github.com/countersign/countersign/proto/countersign/oncall/v1"
	principalv1 "github.com/countersign/countersign/proto/countersign/principal/v1"
	ticketv1 "github.com/countersign/countersign/proto/countersign/ticket/v1"
)

// connectors are those of the demonstration's configuration with what each may answer.
func connectors() []policy.Connector {
	principal := capability(principalv1.File_countersign_principal_v1_principal_proto)
	oncall := capability(oncallv1.File_countersign_oncall_v1_oncall_proto)
	employment := capability(employmentv1.File_countersign_employment_v1_employment_proto)
	return []policy.Connector{
		{Name: "directory", Capabilities: []pim.Capability{principal}},
		{Name: "itsm", Capabilities: []pim.Capability{capability(ticketv1.File_countersign_ticket_v1_ticket_proto)}},
		{Name: "rota", Capabilities: []pim.Capability{oncall, capability(incidentv1.File_countersign_incident_v1_incident_proto)}},
		{Name: "hr", Capabilities: []pim.Capability{employment}},
		{Name: "roster", Capabilities: []pim.Capability{principal, employment, oncall}},
	}
}

// capability reads the one method of a standard capability's file.
func capability(file protoreflect.FileDescriptor) pim.Capability {
	service := file.Services().Get(0)
	method := service.Methods().Get(0)
	return pim.Capability{
		Method: string(service.FullName()) + "/" + string(method.Name()),
		Word:   strings.Split(string(file.Package()), ".")[1],
		// The observation is no fact.
		Arguments: fields(method.Input()), Facts: fields(method.Output()),
	}
}

func fields(m protoreflect.MessageDescriptor) []pim.Field {
	var all []pim.Field
	for i := range m.Fields().Len() {
		f := m.Fields().Get(i)
		if f.Name() == "observation" {
			continue
		}
		rules, _ := proto.GetExtension(f.Options(), connectorv1.E_Field).(*connectorv1.FieldRules)
		word := strings.ToLower(strings.TrimPrefix(rules.GetSensitivity().String(), "SENSITIVITY_"))
		all = append(all, pim.Field{
			Name: string(f.Name()), Type: kind(f), Required: rules.GetRequired(), Sensitivity: pim.Sensitivity(word),
		})
	}
	return all
}

func kind(f protoreflect.FieldDescriptor) pim.Type {
	t := pim.Type{Kind: pim.String}
	switch {
	case f.Message() != nil:
		t.Kind = pim.Timestamp
	case f.Enum() != nil:
		t = pim.Type{Kind: pim.Enum, Words: words(f.Enum())}
	case f.Kind() == protoreflect.BoolKind:
		t.Kind = pim.Bool
	case f.Kind() == protoreflect.Int32Kind:
		t.Kind = pim.Int
	}
	if f.IsList() {
		return pim.Type{Kind: pim.List, Elem: &t}
	}
	return t
}

// words are an enum's values in lower case, without the prefix that is the name of the zero value.
func words(e protoreflect.EnumDescriptor) []string {
	prefix := strings.TrimSuffix(string(e.Values().Get(0).Name()), "UNSPECIFIED")
	var all []string
	for i := 1; i < e.Values().Len(); i++ {
		all = append(all, strings.ToLower(strings.TrimPrefix(string(e.Values().Get(i).Name()), prefix)))
	}
	return all
}
