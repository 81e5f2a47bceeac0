// Package cli is the command line of mesh, and of every subnet's own program (package subnet): one file per command.
//
// Flags, environment and configuration file become the Config of a component here and nowhere else, with the precedence flag,
// environment MESH_..., file, default. Flag names may be written with - or _. A command ends with status 0, with 1 when it could not
// do what was asked, and with 2 when it was called wrongly; failures are one or two lines on stderr: what, why, what next.
package cli
