package host

import (
	"context"
	"errors"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	connectorv1 "github.com/countersign/countersign/proto/countersign/connector/v1"
)

// patience is how long a call waits for a connector that is about to be ready again: longer than the
// first two pauses before a restart and a start, shorter than what a callout has to give away.
const patience = 2 * time.Second

// Invoke asks a capability, named as "package.Service/Method", one that the connector described. An
// answer is never asked for twice, with one exception: if the process ends during the call and the
// method has no side effects, the call is sent once more as soon as another process is ready, if that is
// soon. An error without an answer is a status whose fault package finding reads.
func (c *Connector) Invoke(ctx context.Context, method string, request, response proto.Message) error {
	ctx, cancel := context.WithTimeout(ctx, c.limits.CallTimeout)
	defer cancel()
	i, err := c.enter(ctx)
	if err != nil {
		return err
	}
	defer c.leave()
	capability := i.description.capability(method)
	if capability == nil {
		return status.Errorf(codes.Unimplemented, "connector %s has no capability %s", c.spec.Name, method)
	}
	err = i.call(ctx, method, request, response)
	if err == nil || !i.died(ctx, err) {
		return c.explain(err)
	}
	if !repeatable(capability) {
		return c.down("ended during the call")
	}
	if i, err = c.ready(ctx, i); err != nil {
		return err
	}
	proto.Reset(response)
	if err = i.call(ctx, method, request, response); err != nil && i.died(ctx, err) {
		return c.down("ended during the call, twice")
	}
	return c.explain(err)
}

// enter counts a call and returns the instance to send it to; leave must follow.
func (c *Connector) enter(ctx context.Context) (*instance, error) {
	i, err := c.ready(ctx, nil)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing {
		return nil, c.down("is " + string(c.state))
	}
	c.calls++
	return i, nil
}

func (c *Connector) leave() { c.change(func() { c.calls-- }) }

// ready returns an instance that answers and is not the given one, or waits a little for one.
func (c *Connector) ready(ctx context.Context, not *instance) (*instance, error) {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		i, changed, err := c.look(not)
		if i != nil || err != nil {
			return i, err
		}
		select {
		case <-changed:
		case <-timer.C:
			return nil, c.down("is not ready")
		case <-ctx.Done():
			return nil, c.down("was not ready in time")
		}
	}
}

// look returns the instance in force, or what to wait for, or an error if waiting makes no sense.
func (c *Connector) look(not *instance) (*instance, <-chan struct{}, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closing || c.state == Failed:
		return nil, nil, c.down("is " + string(c.state))
	case c.state == Ready && c.current != not && c.current.alive.Err() == nil:
		return c.current, nil, nil
	case c.next.Sub(c.options.Now()) > patience:
		return nil, nil, c.down("is " + string(c.state))
	}
	return nil, c.changed, nil
}

func (i *instance) call(ctx context.Context, method string, request, response proto.Message) error {
	return i.conn.Invoke(ctx, "/"+method, request, response)
}

// died reports whether a call failed since the process ended. The end of the connection is seen before
// the end of the process.
func (i *instance) died(ctx context.Context, err error) bool {
	code := status.Code(err)
	if ctx.Err() != nil || saysWhy(err) || code != codes.Unavailable && code != codes.Canceled {
		return false
	}
	return endsWithin(i.process, exitNotice)
}

// saysWhy reports whether the connector itself made the status.
func saysWhy(err error) bool {
	for _, detail := range status.Convert(err).Details() {
		if _, ok := detail.(*connectorv1.Fault); ok {
			return true
		}
	}
	return false
}

// repeatable reports whether the author of a method says that calling it changes nothing.
func repeatable(m protoreflect.MethodDescriptor) bool {
	options, _ := m.Options().(*descriptorpb.MethodOptions)
	return options.GetIdempotencyLevel() == descriptorpb.MethodOptions_NO_SIDE_EFFECTS
}

// explain gives statuses of gRPC itself the fault they stand for.
func (c *Connector) explain(err error) error {
	if err == nil || saysWhy(err) {
		return err
	}
	s := status.Convert(err)
	// gRPC has one code for "too busy" and "too long"; only its text tells them apart.
	if s.Code() == codes.ResourceExhausted && strings.Contains(s.Message(), "larger than max") {
		return fault(codes.Internal, connectorv1.FaultKind_FAULT_KIND_MALFORMED, "connector "+c.spec.Name+" answered more than is read")
	}
	return err
}

func fault(code codes.Code, kind connectorv1.FaultKind, text string) error {
	bare := status.New(code, text)
	detailed, err := bare.WithDetails(&connectorv1.Fault{Kind: kind, Source: connectorv1.FaultSource_FAULT_SOURCE_CONNECTOR})
	if err != nil {
		return errors.Join(bare.Err(), err)
	}
	return detailed.Err()
}
