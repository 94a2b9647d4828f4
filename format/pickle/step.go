package pickle

import (
	"errors"
	"fmt"
)

// step carries out one instruction.
func (m *machine) step() error {
	b, err := m.bytes(1)
	if err != nil {
		return err
	}
	switch op := b[0]; op {
	case opProto:
		version, err := m.number(1)
		if err == nil && version > mostProtocol {
			err = fmt.Errorf("protocol %d; weld reads up to %d", version, mostProtocol)
		}
		return err
	case opFrame: // how much may be read ahead
		_, err := m.number(8)
		return err
	case opStop:
		m.stopped = true
		return nil
	case opMark:
		m.marks = append(m.marks, len(m.stack))
		return m.take(8)
	case opPop: // which takes a mark away where no value is above it
		if len(m.marks) > 0 && len(m.stack) == m.floor() {
			m.marks = m.marks[:len(m.marks)-1]
			return nil
		}
		_, err := m.pop()
		return err
	case opPopMark:
		_, err := m.popMark()
		return err
	case opDup:
		v, err := m.top()
		if err != nil {
			return err
		}
		return m.push(v)
	case opBinPut, opLongBinPut, opMemoize, opBinGet, opLongBinGet:
		return m.remember(op)
	case opAppend, opAppends, opSetItem, opSetItems, opAddItems:
		return m.extend(op)
	case opBuild:
		return m.build()
	default:
		v, err := m.value(op)
		if err == nil {
			err = m.take(valueBytes)
		}
		if err != nil {
			return err
		}
		return m.push(v)
	}
}

// value is what an instruction puts on the stack.
func (m *machine) value(op byte) (any, error) {
	switch op {
	case opNone:
		return nil, nil
	case opNewTrue:
		return true, nil
	case opNewFalse:
		return false, nil
	case opBinInt:
		n, err := m.number(4)
		return int64(int32(n)), err
	case opBinInt1:
		n, err := m.number(1)
		return int64(n), err
	case opBinInt2:
		n, err := m.number(2)
		return int64(n), err
	case opLong1:
		return m.long(1)
	case opLong4:
		return m.long(4)
	case opBinFloat:
		return m.float()
	case opShortBinUnicode:
		return m.text(1)
	case opBinUnicode:
		return m.text(4)
	case opBinUnicode8:
		return m.text(8)
	case opShortBinBytes, opShortBinString: // text of Python 2 may be in any encoding
		return m.counted(1)
	case opBinBytes, opBinString:
		return m.counted(4)
	case opBinBytes8, opByteArray8:
		return m.counted(8)
	case opGlobal, opStackGlobal:
		return m.global(op)
	case opBinPersID:
		return m.persistent()
	case opReduce, opNewObj, opNewObjEx:
		return m.call(op)
	}
	return m.collection(op)
}

// collection is a new tuple, list, dictionary or set.
func (m *machine) collection(op byte) (any, error) {
	switch op {
	case opEmptyTuple:
		return Tuple{}, nil
	case opTuple1, opTuple2, opTuple3:
		t := make(Tuple, op-opTuple1+1)
		for i := len(t) - 1; i >= 0; i-- {
			var err error
			if t[i], err = m.pop(); err != nil {
				return nil, err
			}
		}
		return t, m.take(int64(len(t)) * itemBytes)
	case opEmptyList:
		return new(List), nil
	case opEmptyDict:
		return new(Dict), nil
	case opEmptySet:
		return new(Set), nil
	case opTuple, opList, opFrozenSet, opDict:
	default:
		return nil, fmt.Errorf("instruction %#x, which no checkpoint needs", op)
	}
	values, err := m.popMark()
	if err == nil {
		err = m.take(int64(len(values)) * itemBytes)
	}
	if err != nil {
		return nil, err
	}
	values = append([]any(nil), values...)
	switch op {
	case opTuple:
		return Tuple(values), nil
	case opList:
		return &List{values}, nil
	case opFrozenSet:
		return &Set{values}, nil
	}
	d := new(Dict)
	return d, d.add(values)
}

// add adds keys and values that follow each other.
func (d *Dict) add(values []any) error {
	if len(values)%2 != 0 {
		return errors.New("a key without its value")
	}
	for i := 0; i < len(values); i += 2 {
		d.Items = append(d.Items, Item{values[i], values[i+1]})
	}
	return nil
}

// remember keeps the last value under a number, or brings one back.
func (m *machine) remember(op byte) error {
	number := uint64(len(m.memo) + len(m.strays))
	var err error
	switch op {
	case opBinPut, opBinGet:
		number, err = m.number(1)
	case opLongBinPut, opLongBinGet:
		number, err = m.number(4)
	}
	if err != nil {
		return err
	}
	if op == opBinGet || op == opLongBinGet {
		return m.recall(number)
	}
	v, err := m.top()
	if err != nil {
		return err
	}
	switch n := uint64(len(m.memo)); {
	case number < n:
		m.memo[number] = v
		return nil
	case number == n && m.strays == nil:
		m.memo = append(m.memo, v)
		return m.take(itemBytes)
	}
	if m.strays == nil {
		m.strays = make(map[uint64]any)
	}
	m.strays[number] = v
	return m.take(strayBytes)
}

// recall brings a value back that was kept under a number.
func (m *machine) recall(number uint64) error {
	if number < uint64(len(m.memo)) {
		return m.push(m.memo[number])
	}
	v, ok := m.strays[number]
	if !ok {
		return fmt.Errorf("value %d is asked for, and was not kept", number)
	}
	return m.push(v)
}

// extend adds values to the collection below them.
func (m *machine) extend(op byte) error {
	var values []any
	var err error
	switch op {
	case opAppend, opSetItem:
		n := 1
		if op == opSetItem {
			n = 2
		}
		if len(m.stack)-n < m.floor() {
			return errors.New("the stack is empty")
		}
		values = m.drop(len(m.stack) - n)
	default:
		values, err = m.popMark()
	}
	if err == nil {
		err = m.take(int64(len(values)) * itemBytes)
	}
	if err != nil {
		return err
	}
	to, err := m.top()
	if err != nil {
		return err
	}
	switch c := to.(type) {
	case *List:
		if op == opAppend || op == opAppends {
			c.Items = append(c.Items, values...)
			return nil
		}
	case *Dict:
		if op == opSetItem || op == opSetItems {
			return c.add(values)
		}
	case *Set:
		if op == opAddItems {
			c.Items = append(c.Items, values...)
			return nil
		}
	}
	return fmt.Errorf("items are added to %s", Kind(to))
}

// global is a name, if the vocabulary has it.
func (m *machine) global(op byte) (any, error) {
	var g Global
	var err error
	if op == opGlobal {
		if g.Module, err = m.line(); err == nil {
			g.Name, err = m.line()
		}
	} else {
		var name, module any
		if name, err = m.pop(); err == nil {
			module, err = m.pop()
		}
		var a, b bool
		g.Name, a = name.(string)
		g.Module, b = module.(string)
		if err == nil && !(a && b) {
			err = errors.New("a name that is not text")
		}
	}
	if err != nil {
		return nil, err
	}
	if _, ok := m.options.Vocabulary[g]; !ok {
		return nil, &ForbiddenError{g}
	}
	return g, nil
}

// call makes a value of a name and its arguments.
func (m *machine) call(op byte) (any, error) {
	if op == opNewObjEx {
		named, err := m.pop()
		if err != nil {
			return nil, err
		}
		if d, ok := named.(*Dict); !ok || len(d.Items) > 0 {
			return nil, fmt.Errorf("a call with arguments by name")
		}
	}
	last, err := m.pop()
	if err != nil {
		return nil, err
	}
	function, err := m.pop()
	if err != nil {
		return nil, err
	}
	g, isName := function.(Global)
	args, isTuple := last.(Tuple)
	if !isName || !isTuple {
		return nil, fmt.Errorf("a call of %s with %s", Kind(function), Kind(last))
	}
	run := m.options.Vocabulary[g]
	if run == nil {
		return nil, &ForbiddenError{g}
	}
	v, err := run(args)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", g, err)
	}
	size := int64(madeBytes)
	if d, ok := v.(*Dict); ok {
		size = int64(len(d.Items)) * 2 * itemBytes
	}
	return v, m.take(size)
}

// persistent makes the value of an identifier.
func (m *machine) persistent() (any, error) {
	id, err := m.pop()
	if err != nil {
		return nil, err
	}
	if m.options.Persistent == nil {
		return nil, errors.New("an identifier of something outside of the pickle")
	}
	t, ok := id.(Tuple)
	if !ok {
		return nil, fmt.Errorf("%s as an identifier", Kind(id))
	}
	v, err := m.options.Persistent(t)
	if err == nil {
		err = m.take(madeBytes)
	}
	return v, err
}

// build gives the value below its state.
func (m *machine) build() error {
	state, err := m.pop()
	if err != nil {
		return err
	}
	to, err := m.top()
	if err != nil {
		return err
	}
	v, ok := to.(Stateful)
	if !ok {
		return fmt.Errorf("a state for %s", Kind(to))
	}
	if err := v.SetState(state); err != nil {
		return fmt.Errorf("state of %s: %w", Kind(to), err)
	}
	return nil
}
