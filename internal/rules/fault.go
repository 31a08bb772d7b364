package rules

import "strings"

// Fault is one thing that is wrong with a configuration, and where.
type Fault struct {
	Key     string // as it is written for people: rules[2] (name).match
	Message string
}

// Error gives the place and what is wrong there.
func (f *Fault) Error() string { return f.Key + ": " + f.Message }

// Path is the place without the name: rules[2].match.
func (f *Fault) Path() string {
	i, j := strings.Index(f.Key, "] ("), strings.LastIndexByte(f.Key, ')')
	if i < 0 || j < i {
		return f.Key
	}
	return f.Key[:i+1] + f.Key[j+1:]
}

// Faults takes the faults out of an error that [Compile] returned, wrapped or
// not, in their order; nil when there are none.
func Faults(err error) []*Fault {
	switch e := err.(type) { //nolint:errorlint // the tree is walked here
	case nil:
		return nil
	case *Fault:
		return []*Fault{e}
	case interface{ Unwrap() error }:
		return Faults(e.Unwrap())
	case interface{ Unwrap() []error }:
		var out []*Fault
		for _, x := range e.Unwrap() {
			out = append(out, Faults(x)...)
		}
		return out
	}
	return nil
}
