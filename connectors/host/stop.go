package host

import (
	"context"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/countersign/countersign/connectors/internal/process"
)

// Methods that go-plugin serves in every connector; their messages are in its internal packages, and on
// the wire the empty one is any empty message.
const (
	shutdownMethod = "/plugin.GRPCController/Shutdown"
	stdioMethod    = "/plugin.GRPCStdio/StreamStdio"
)

// stopSteps are the steps of a stop: asked, end of the lifeline, SIGTERM, SIGKILL.
const stopSteps = 4

// stop ends an instance in bounded time, politely first. It returns when the process is gone; a process
// that survives SIGKILL is stuck in the kernel, and nothing can wait for that. It does so even if ctx
// has ended, which is mostly why it is called.
func (i *instance) stop(ctx context.Context) {
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), i.stopStep)
	_ = i.conn.Invoke(bounded, shutdownMethod, &emptypb.Empty{}, &emptypb.Empty{})
	cancel()
	_ = i.conn.Close()
	i.process.CloseLifeline()
	for _, signal := range []syscall.Signal{0, syscall.SIGTERM, syscall.SIGKILL} {
		if signal != 0 {
			i.process.Signal(signal)
		}
		if endsWithin(i.process, i.stopStep) {
			i.stdio.Wait()
			return
		}
	}
}

func endsWithin(p *process.Process, limit time.Duration) bool {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-p.Exited():
		return true
	case <-timer.C:
		return false
	}
}

// drainStdio reads what the process printed with os.Stdout and os.Stderr, which go-plugin replaces by
// pipes into this stream: unread, the process would block on them.
func (i *instance) drainStdio() {
	stream, err := i.conn.NewStream(i.alive, &grpc.StreamDesc{ServerStreams: true}, stdioMethod)
	if err != nil || stream.SendMsg(&emptypb.Empty{}) != nil || stream.CloseSend() != nil {
		return
	}
	out := i.process.Output()
	for {
		var chunk emptypb.Empty
		if stream.RecvMsg(&chunk) != nil {
			return
		}
		_, _ = out.Write(stdioBytes(chunk.ProtoReflect().GetUnknown()))
	}
}

// stdioBytes reads field 2 of plugin.StdioData.
func stdioBytes(raw []byte) []byte {
	for len(raw) > 0 {
		number, kind, n := protowire.ConsumeTag(raw)
		if n < 0 {
			return nil
		}
		raw = raw[n:]
		if number == 2 && kind == protowire.BytesType {
			content, _ := protowire.ConsumeBytes(raw)
			return content
		}
		if n = protowire.ConsumeFieldValue(number, kind, raw); n < 0 {
			return nil
		}
		raw = raw[n:]
	}
	return nil
}
