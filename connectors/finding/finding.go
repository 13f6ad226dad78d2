// Package finding is how a connector says what is known beside the values it fills in: facts that are
// known to be absent, when and how the upstream was asked, and why there are no facts at all.
//
// The rule for facts is one sentence: a response field that is left unset is unknown, unless
// [None] says that it is known to be absent. Forgetting a field therefore never reads as "fine".
package finding

import (
	"context"
	"fmt"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	connectorv1 "github.com/countersign/countersign/proto/countersign/connector/v1"
)

type contextKey struct{}

// Recorder collects what a capability's handler says about its answer. It is safe for concurrent use.
type Recorder struct {
	mu         sync.Mutex
	none       map[string]bool
	attempts   int32
	requestID  string
	observedAt time.Time
}

// WithRecorder returns a context for one call and the recorder that the functions of this package
// write to. The server of package serve calls it; a connector does not.
func WithRecorder(ctx context.Context) (context.Context, *Recorder) {
	r := &Recorder{none: map[string]bool{}}
	return context.WithValue(ctx, contextKey{}, r), r
}

// None says that the named response fields are known to be absent: the upstream was asked, was
// allowed to tell, and has no value. For a repeated field it means an empty list.
func None(ctx context.Context, fields ...string) {
	record(ctx, func(r *Recorder) {
		for _, field := range fields {
			r.none[field] = true
		}
	})
}

// Attempt counts one request sent upstream and keeps the upstream's identifier of it, if it has one.
func Attempt(ctx context.Context, requestID string) {
	record(ctx, func(r *Recorder) {
		r.attempts++
		if requestID != "" {
			r.requestID = requestID[:min(len(requestID), maxRequestID)]
		}
	})
}

// ObservedAt says when the facts were last known to be so, for a source that is read ahead of the
// question, such as a file. Without it the time of the answer counts.
func ObservedAt(ctx context.Context, at time.Time) {
	record(ctx, func(r *Recorder) { r.observedAt = at })
}

// maxRequestID is the bound of Observation.upstream_request_id.
const maxRequestID = 128

func record(ctx context.Context, change func(*Recorder)) {
	r, ok := ctx.Value(contextKey{}).(*Recorder)
	if !ok {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	change(r)
}

// Complete writes the observation into a response: every unset field that was not declared none is
// named unknown. It returns an error if the response has no observation or if a field was declared
// none and set, which is a bug of the connector.
func (r *Recorder) Complete(response proto.Message, now time.Time) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := response.ProtoReflect()
	field, err := observationField(m.Descriptor())
	if err != nil {
		return err
	}
	observation, ok := m.Get(field).Message().Interface().(*connectorv1.Observation)
	if !ok || !m.Has(field) {
		observation = &connectorv1.Observation{}
	}
	if err := r.nameUnknown(m, field, observation); err != nil {
		return err
	}
	if observation.GetObservedAt() == nil {
		observation.ObservedAt = timestamppb.New(r.observed(now))
	}
	observation.Attempts += r.attempts
	if observation.GetUpstreamRequestId() == "" {
		observation.UpstreamRequestId = r.requestID
	}
	m.Set(field, protoreflect.ValueOfMessage(observation.ProtoReflect()))
	return nil
}

func (r *Recorder) observed(now time.Time) time.Time {
	if r.observedAt.IsZero() {
		return now
	}
	return r.observedAt
}

func (r *Recorder) nameUnknown(m protoreflect.Message, skip protoreflect.FieldDescriptor, o *connectorv1.Observation) error {
	named := map[string]bool{}
	for _, name := range o.GetUnknownFields() {
		named[name] = true
	}
	fields := m.Descriptor().Fields()
	for name := range r.none {
		if fields.ByName(protoreflect.Name(name)) == nil {
			return fmt.Errorf("%s has no field %s to be none", m.Descriptor().FullName(), name)
		}
	}
	for i := range fields.Len() {
		f := fields.Get(i)
		name := string(f.Name())
		switch {
		case f == skip || named[name]:
		case m.Has(f) && r.none[name]:
			return fmt.Errorf("%s.%s is declared none and has a value", m.Descriptor().FullName(), name)
		case !m.Has(f) && !r.none[name]:
			o.UnknownFields = append(o.UnknownFields, name)
		}
	}
	return nil
}

func observationField(message protoreflect.MessageDescriptor) (protoreflect.FieldDescriptor, error) {
	want := (&connectorv1.Observation{}).ProtoReflect().Descriptor().FullName()
	fields := message.Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		if f.Message() != nil && !f.IsMap() && !f.IsList() && f.Message().FullName() == want {
			return f, nil
		}
	}
	return nil, fmt.Errorf("%s has no field of type %s", message.FullName(), want)
}
