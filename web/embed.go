// Package web holds the built console so that it ships inside the binary.
//
// It exists because go:embed can only reach files below the package's own
// folder. It does not serve them (internal/api does) and does not build them
// (vite does, into dist). Before the first build dist is empty. Safe for
// concurrent use.
package web

import (
	"embed"
	"io/fs"
)

//go:embed all:dist
var dist embed.FS

// Dist returns the built console; index.html is missing when it was not built.
func Dist() fs.FS {
	sub, err := fs.Sub(dist, "dist")
	if err != nil { // cannot happen: "dist" is a valid path
		return dist
	}
	return sub
}
