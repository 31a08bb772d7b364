// Package logread turns the lines of any log into records: it learns how the
// lines of a stream begin, recognises the formats that web servers, containers
// and structured loggers write, joins records of several lines, and repairs
// what is not UTF-8.
//
// It exists so that a file, a pipe or a sender of raw lines needs no
// configuration: what [New] makes reads the first lines of a stream, decides
// once, and then cuts time, level, host, component and process from each line,
// so that what is left, the body, is the message and nothing else. It opens no
// file, keeps no place in one, mines no templates and masks no secrets: adapters
// bring lines, normalize and logmine take the records.
//
// The header learner splits each of the first lines into fields (time stamps in
// any usual form, levels, numbers, groups in brackets, tags, names, words) and
// keeps those columns in which nearly all lines agree. Lines that do not begin
// like the others belong to the record before them.
//
// The main type is [Stream]. It is used by one goroutine at a time. Everything
// it keeps is bounded; what it gives depends only on the lines and [Config],
// never on a clock.
package logread
