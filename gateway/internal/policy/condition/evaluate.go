package condition

import (
	"errors"
	"strings"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/interpreter"

	"github.com/countersign/countersign/gateway/internal/pim"
)

// Result is what an expression came to. It has a value if State is pim.Known.
type Result struct {
	// State is pim.None if the expression is an error because it selected what is none.
	State pim.State
	// Err is why there is no value, unless that is unknown.
	Err error
	// Pending is set if the value is unknown and may be known once asks are answered.
	Pending bool
	// Lacks are the places of the asks without which the value is unknown.
	Lacks []int

	value ref.Val
}

// True reports whether the expression is known to be true.
func (r Result) True() bool { return r.State == pim.Known && r.value == types.True }

// noValue is the beginning of CEL's error for the selection of what a message does not have. The error
// has no exported type; TestSelectingNoneIsToldFromOtherErrors holds the text.
const noValue = "no such key: "

// Evaluate never fails: what cannot be evaluated is a result without a value.
func (e *Expression) Evaluate(v *Vars) Result {
	out, _, err := e.program.Eval(v)
	if unknown, ok := out.(*types.Unknown); ok && err == nil {
		return e.unknown(unknown, v)
	}
	if err == nil && out != nil {
		return Result{State: pim.Known, value: out}
	}
	if err == nil {
		err = errors.New("the expression has no value")
	}
	return e.failed(err)
}

func (e *Expression) unknown(u *types.Unknown, v *Vars) Result {
	r := Result{State: pim.Unknown}
	for _, id := range u.IDs() {
		ask := int(id) - 1
		r.Lacks = append(r.Lacks, ask)
		r.Pending = r.Pending || v.Pending(ask)
	}
	return r
}

func (e *Expression) failed(err error) Result {
	what, none := strings.CutPrefix(err.Error(), noValue)
	if failure, ok := errors.AsType[*types.Err](err); ok && none {
		if path, ok := e.paths[failure.NodeID()]; ok {
			return Result{State: pim.None, Err: errors.New(path + " is none")}
		}
	}
	r := Result{State: pim.Unknown, Err: err}
	if none {
		r = Result{State: pim.None, Err: errors.New(what + " is none")}
	}
	if e.secret {
		r.Err = errWithheld // CEL's errors quote values
	}
	return r
}

var errWithheld = errors.New("the expression is an error; its text is withheld, since it may quote a secret")

// errorsFirst makes an error on the right of an operator win over an unknown on the left, as it does
// the other way round: whatever the unknown turns out to be, the result is an error.
func errorsFirst(i interpreter.InterpretableV2) (interpreter.InterpretableV2, error) {
	call, ok := i.(interpreter.InterpretableCall)
	if !ok || len(call.Args()) != 2 {
		return i, nil
	}
	return &strictCall{InterpretableCall: call}, nil
}

type strictCall struct{ interpreter.InterpretableCall }

// Exec evaluates the call.
func (c *strictCall) Exec(frame *interpreter.ExecutionFrame) ref.Val {
	out := c.InterpretableCall.Exec(frame)
	if !types.IsUnknown(out) {
		return out
	}
	if right := c.Args()[1].Exec(frame); types.IsError(right) {
		return right
	}
	return out
}

// Eval evaluates the call outside of a frame.
func (c *strictCall) Eval(vars interpreter.Activation) ref.Val {
	return interpreter.EvalActivation(vars, c.Exec)
}
